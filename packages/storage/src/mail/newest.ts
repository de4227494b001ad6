/**
 * Finds messages, newest first. If the store can walk in descending order, it does. Other stores list in ascending order only, and this
 * file makes the best of that.
 *
 * Folders have a fixed width, from year to minute, so the last folder is the newest one. If a folder fits into one page, one call lists
 * it. If a minute does not fit, the search lists slices of its time, the last slice first. If a slice does not fit into one page, the
 * search makes it shorter, by half or more. After a slice with few messages, the next one is longer. So a page of messages costs few
 * calls, wherever in the minute the mail came.
 */
import { keyBatches } from '../blob/batches.ts'
import { type BlobView, type KeyPage, MAX_PAGE } from '../blob/contract.ts'
import { firstIdAt, idOfMail, isMinute, isTimeFolder, minuteOf, rootOf, timeOf } from '../record/layout.ts'
import { type IdRange, idsIn, type KeyRange, keyRange } from './range.ts'

const MINUTE_MS = 60_000
/** The number of keys that a slice is planned for. It is less than a page, because mail does not come evenly. */
const PLANNED_KEYS = 0.75 * MAX_PAGE
const MAX_GROWTH = 8

/** Yields the ids that have an envelope, newest first. Holds one page of keys. */
export async function* newestIds(blobs: Omit<BlobView, 'read'>, ids: IdRange): AsyncGenerator<string> {
  const range = keyRange(ids)
  if (blobs.walk === undefined) return yield* idsOfFolders(blobs, rootOf(ids.bounced), range)
  const { bounced, after, before } = range
  for await (const { keys } of blobs.walk({ after, before, order: 'descending' })) yield* idsIn(keys, bounced)
}

async function* idsOfFolders(blobs: Omit<BlobView, 'read'>, above: string, range: KeyRange): AsyncGenerator<string> {
  for (const folder of (await foldersIn(blobs, above)).toReversed()) {
    // A folder is a prefix of its keys, so it is less than they are.
    if (folder > range.before) continue
    if (folder < range.after && !range.after.startsWith(folder)) return
    const page = await blobs.list({ prefix: folder })
    if (page.cursor === undefined) yield* idsOf(page.keys, range)
    else if (isMinute(folder)) yield* idsOfMinute(blobs, folder, page, range)
    else yield* idsOfFolders(blobs, folder, range)
  }
}

/** @param first The first page of the minute, which has more than one */
async function* idsOfMinute(
  blobs: Omit<BlobView, 'read'>,
  folder: string,
  first: KeyPage,
  range: KeyRange,
): AsyncGenerator<string> {
  const startMs = minuteOf(folder)
  let endMs = startMs + MINUTE_MS
  if (range.before.startsWith(folder)) endMs = timeOf(range.before.slice(folder.length)) + 1
  let spanMs = spanOf(first, startMs)
  /** The time of the last key on the page of a slice that did not fit. After this time there is more mail. */
  let reachedMs = startMs
  while (endMs > startMs) {
    const fromMs = Math.max(startMs, endMs - spanMs)
    const end = folder + firstIdAt(endMs)
    const slice: KeyRange = { ...range, before: end < range.before ? end : range.before }
    const page = await blobs.list({ prefix: folder, after: folder + firstIdAt(fromMs) })
    const isFitting = isWhole(page, slice)
    if (!isFitting && endMs - fromMs > 1) {
      reachedMs = lastTimeIn(page) ?? fromMs
      spanMs = Math.max(1, Math.floor(Math.min(endMs - fromMs, endMs - reachedMs) / 2))
      continue
    }
    yield* idsOf(isFitting ? page.keys : await restOf(blobs, folder, page, slice), slice)
    if (folder + firstIdAt(fromMs) < range.after) return
    endMs = fromMs
    const count = page.keys.filter((key) => key < slice.before).length
    // If the slice was empty, the next one is half of the time up to `reachedMs`. Otherwise the next one is as long as the mail of this slice suggests.
    if (count === 0 && endMs > reachedMs) spanMs = Math.max(1, Math.ceil((endMs - reachedMs) / 2))
    else spanMs = Math.max(1, Math.floor((spanMs * PLANNED_KEYS) / Math.max(count, PLANNED_KEYS / MAX_GROWTH)))
  }
}

/** Returns the milliseconds of a slice with the planned number of keys, if mail comes as fast as on this page. */
function spanOf(page: KeyPage, fromMs: number): number {
  const passedMs = (lastTimeIn(page) ?? fromMs + MINUTE_MS) - fromMs + 1
  return Math.max(1, Math.floor((passedMs * PLANNED_KEYS) / page.keys.length))
}

/** Returns when the last message on the page began to arrive; undefined if the page has none. */
function lastTimeIn({ keys }: KeyPage): number | undefined {
  const key = keys.findLast((each) => idOfMail(each) !== undefined)
  return key === undefined ? undefined : timeOf(idOfMail(key) as string)
}

/** Returns whether the page reaches the end of the slice. Compares keys, because only the backend can read its cursor. */
function isWhole({ keys, cursor }: KeyPage, { before }: KeyRange): boolean {
  return cursor === undefined || (keys.at(-1) ?? '') >= before
}

/** Returns the keys of a slice of one millisecond, which may be more than a page. */
async function restOf(
  blobs: Omit<BlobView, 'read'>,
  folder: string,
  first: KeyPage,
  slice: KeyRange,
): Promise<string[]> {
  const keys = [...first.keys]
  const after = first.keys.at(-1) as string
  for await (const batch of keyBatches(blobs, { prefix: folder, after, before: slice.before })) keys.push(...batch.keys)
  return keys
}

function* idsOf(keys: readonly string[], { bounced, after, before }: KeyRange): Generator<string> {
  yield* idsIn(keys.filter((key) => key > after && key < before).toReversed(), bounced)
}

async function foldersIn(blobs: Omit<BlobView, 'read'>, above: string): Promise<string[]> {
  const folders: string[] = []
  let cursor: string | undefined
  do {
    const page = await blobs.list({ prefix: above, delimiter: '/', ...(cursor !== undefined && { cursor }) })
    folders.push(...page.prefixes.filter(isTimeFolder))
    cursor = page.cursor
  } while (cursor !== undefined)
  return folders
}
