import { type BlobStore, MAX_PAGE } from '../blob/contract.ts'
import { idOfEnvelope, isMinute, isTimeFolder, keysOf, rootOf } from './layout.ts'

export interface NewestOptions {
  readonly bounced: boolean
  /** Finds only ids older than this one. */
  readonly before: string | undefined
  readonly count: number
}

/**
 * Finds the newest ids that have an envelope, newest first; layout.ts says how. Holds `count` ids and one page of keys.
 */
export async function newestIds(blobs: BlobStore, options: NewestOptions): Promise<string[]> {
  const ids: string[] = []
  await addFolders(blobs, rootOf(options.bounced), options, ids)
  return ids
}

async function addFolders(blobs: BlobStore, above: string, options: NewestOptions, ids: string[]): Promise<void> {
  const folders = await foldersIn(blobs, above)
  for (const folder of folders.toReversed()) {
    if (ids.length >= options.count) return
    await addFolder(blobs, folder, options, ids)
  }
}

async function addFolder(blobs: BlobStore, folder: string, options: NewestOptions, ids: string[]): Promise<void> {
  const bound = options.before === undefined ? undefined : envelopeKey(options.before, options.bounced)
  // The folder that contains the bound is a prefix of the bound, so it sorts before it.
  if (bound !== undefined && folder > bound) return
  const wanted = options.count - ids.length
  /** The last `wanted` ids so far, ascending. */
  let last: string[] = []
  let page = await blobs.list({ prefix: folder })
  if (page.cursor !== undefined && !isMinute(folder)) return addFolders(blobs, folder, options, ids)
  for (;;) {
    for (const key of page.keys) {
      const id = bound === undefined || key < bound ? idOfEnvelope(key) : undefined
      // Skips an envelope under a key that its id does not have, because no message is loaded from there.
      if (id !== undefined && envelopeKey(id, options.bounced) === key) last.push(id)
    }
    last = last.slice(-wanted)
    const reached = page.keys.at(-1)
    // Compares the last key, because only the backend can read its cursor.
    if (page.cursor === undefined || (bound !== undefined && reached !== undefined && reached >= bound)) break
    page = await blobs.list({ prefix: folder, cursor: page.cursor })
  }
  ids.push(...last.toReversed())
}

async function foldersIn(blobs: BlobStore, above: string): Promise<string[]> {
  const folders: string[] = []
  let cursor: string | undefined
  do {
    const page = await blobs.list({
      prefix: above,
      delimiter: '/',
      limit: MAX_PAGE,
      ...(cursor !== undefined && { cursor }),
    })
    folders.push(...page.prefixes.filter(isTimeFolder))
    cursor = page.cursor
  } while (cursor !== undefined)
  return folders
}

function envelopeKey(id: string, bounced: boolean): string {
  const keys = keysOf(id)
  return bounced ? keys.bounced : keys.envelope
}
