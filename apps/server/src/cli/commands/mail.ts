/** Reads stored mail for the commands: it joins pages of a list, and turns errors of a store into lines for the user. */
import { isStorageError, type MailRecord, type MailStore, type StoredMail } from '@postern/storage'
import { EXIT, Failure } from '../../host/failure.ts'
import { safe } from '../../host/terminal.ts'

/** A part of the list. */
export interface Listing {
  readonly records: readonly MailRecord[]
  /** The ids of messages whose record can't be read. */
  readonly corrupt: readonly string[]
  /** Present if there may be more. */
  readonly cursor: string | undefined
}

const MAX_PAGE = 1000

/** Reads up to `limit` records, newest first, from as many pages as needed. @throws Failure on an invalid cursor */
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

/** Returns the ids of all messages, oldest first, and the ids of those whose record can't be read. */
export async function listIds(
  store: MailStore,
): Promise<{ readonly ids: string[]; readonly corrupt: readonly string[] }> {
  const { records, corrupt } = await listMail(store, Infinity)
  return { ids: records.map((record) => record.id).toReversed(), corrupt }
}

/** Loads one message. @throws Failure if there is none */
export async function loadMail(store: MailStore, id: string): Promise<StoredMail> {
  try {
    return await store.load(id)
  } catch (error) {
    throw refused(error, id)
  }
}

/** Turns an error of a store into a Failure. Returns any other error unchanged, because it is a bug. */
export function refused(error: unknown, id?: string): unknown {
  if (!isStorageError(error)) return error
  if (error.code === 'not-found') return new Failure(`${quoted(id)}: there is no such message`, EXIT.failed)
  if (error.code === 'invalid-id') return new Failure(`${quoted(id)} is not a message id`, EXIT.misused)
  return new Failure(safe(error.message), EXIT.failed, { cause: error })
}

function quoted(text: string | undefined): string {
  return safe(JSON.stringify(text ?? ''))
}
