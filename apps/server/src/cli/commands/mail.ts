/** Kept mail as the commands see it: pages put together, and a store's refusals as lines for the user. */
import { isStorageError, type MailRecord, type MailStore, type StoredMail } from '@postern/storage'
import { EXIT, Failure } from '../../host/failure.ts'
import { safe } from '../../host/terminal.ts'

/** A part of the list. */
export interface Listing {
  readonly records: readonly MailRecord[]
  /** Ids of messages whose record can't be read. */
  readonly corrupt: readonly string[]
  /** Present where there may be more. */
  readonly cursor: string | undefined
}

const MAX_PAGE = 1000

/** Up to `limit` records, newest first, from as many pages as that takes. @throws Failure on a cursor that is none. */
export async function listMail(
  store: MailStore,
  limit: number,
  from: { readonly cursor?: string | undefined; readonly bounced?: boolean } = {},
): Promise<Listing> {
  const records: MailRecord[] = []
  const corrupt: string[] = []
  let { cursor } = from
  do {
    const left = Math.min(limit - records.length, MAX_PAGE)
    const page = await store
      .list({ limit: left, bounced: from.bounced === true, ...(cursor === undefined ? {} : { cursor }) })
      .catch((error: unknown) => {
        if (isStorageError(error, 'invalid-id'))
          throw new Failure(`--cursor: ${quoted(from.cursor)} is not a cursor of this list`)
        throw refused(error)
      })
    records.push(...page.records)
    corrupt.push(...page.corrupt)
    cursor = page.cursor
  } while (cursor !== undefined && records.length < limit)
  return { records, corrupt, cursor }
}

/** The ids of all mail, oldest first, and of what can't be read. */
export async function listIds(
  store: MailStore,
): Promise<{ readonly ids: string[]; readonly corrupt: readonly string[] }> {
  const { records, corrupt } = await listMail(store, Infinity)
  return { ids: records.map((record) => record.id).toReversed(), corrupt }
}

/** One message. @throws Failure where there is none. */
export async function loadMail(store: MailStore, id: string): Promise<StoredMail> {
  try {
    return await store.load(id)
  } catch (error) {
    throw refused(error, id)
  }
}

/** Says for the user what a store refused; a bug stays a bug. */
export function refused(error: unknown, id?: string): unknown {
  if (!isStorageError(error)) return error
  if (error.code === 'not-found') return new Failure(`${quoted(id)}: there is no such message`, EXIT.failed)
  if (error.code === 'invalid-id') return new Failure(`${quoted(id)} is not a message id`, EXIT.failed)
  return new Failure(safe(error.message), EXIT.failed, { cause: error })
}

function quoted(text: string | undefined): string {
  return safe(JSON.stringify(text ?? ''))
}
