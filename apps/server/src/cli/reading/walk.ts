import {
  isStorageError,
  type MailPage,
  type MailStore,
  timeOf,
  type WalkedMail,
  type WalkMailOptions,
} from '@postern/storage'

const MAX_PAGE = 1000

/** Iterates over messages. If a store of the user's own has no `walk`, reads pages of its list. @throws StorageError */
export function walkStore(store: MailStore, options: WalkMailOptions): AsyncIterable<WalkedMail> {
  return store.walk?.(options) ?? walkPages(store, options)
}

/** A message of a page, to be loaded. */
interface Entry {
  readonly id: string
  readonly isCorrupt: boolean
}

async function* walkPages(store: MailStore, options: WalkMailOptions): AsyncGenerator<WalkedMail> {
  const { bounced = false, before, since, isWanted = () => true } = options
  const isRecent = ({ id }: Entry): boolean => since === undefined || timeOf(id) >= since.getTime()
  const found: Entry[] = []
  let cursor = before
  do {
    const page = await store.list({ limit: MAX_PAGE, bounced, ...(cursor !== undefined && { cursor }) })
    const entries = entriesOf(page)
    found.push(...entries.filter((entry) => isRecent(entry) && isWanted(entry.id)))
    cursor = entries.every(isRecent) ? page.cursor : undefined
    if (options.order !== 'oldest-first') yield* loaded(store, found.splice(0))
  } while (cursor !== undefined)
  yield* loaded(store, found.toReversed())
}

/** Returns the messages of a page, newest first. */
function entriesOf({ records, corrupt }: MailPage): Entry[] {
  const entries = [
    ...records.map(({ id }) => ({ id, isCorrupt: false })),
    ...corrupt.map((id) => ({ id, isCorrupt: true })),
  ]
  return entries.toSorted((one, other) => (one.id > other.id ? -1 : 1))
}

async function* loaded(store: MailStore, entries: readonly Entry[]): AsyncGenerator<WalkedMail> {
  for (const { id, isCorrupt } of entries) {
    try {
      yield { id, mail: isCorrupt ? undefined : await store.load(id) }
    } catch (error) {
      // The message was deleted meanwhile.
      if (!isStorageError(error, 'not-found')) throw error
    }
  }
}
