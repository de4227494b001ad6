/**
 * Lists keys in order. Directories have no order.
 *
 * In the order of keys, a directory counts as its name with a `/` behind it. So each directory is read whole and sorted
 * with these names. The listing enters a subdirectory at its place in this order. A directory that cannot
 * have a key of the listing is not read, and no directory is read twice. Memory holds the names of the directories on
 * the way down, never those of the whole tree.
 *
 * It skips names that are not keys: hidden names (the temporary directory among them), symbolic links, devices.
 */
import type { Dirent } from 'node:fs'
import { join } from 'node:path'
import {
  checkAfter,
  checkLimit,
  checkPrefix,
  isSegment,
  type KeyBatch,
  type KeyPage,
  type ListOptions,
  MAX_PAGE,
  type WalkOptions,
} from '../blob/contract.ts'
import { type Disk, isGone } from './disk.ts'

/** The folders as a listing needs them. */
export interface ListedFolders {
  /**
   * Returns the names of the blobs and folders in a folder, in any order. The name of a folder ends in `/`.
   * @param folder '', or a name that ends in `/`
   */
  names(folder: string): Promise<string[]>
  /** Returns the size of a blob; undefined if it is gone. */
  size(key: string): Promise<number | undefined>
}

/** The keys of a listing, and their order. */
interface Range {
  readonly prefix: string
  readonly after: string
  readonly before: string | undefined
  /** If true, a folder behind the prefix is listed itself, in place of its keys. */
  readonly rollUp: boolean
  readonly isDescending: boolean
}

/** The greatest number of sizes that are asked for at the same time. */
const LOOKS_AT_ONCE = 16
const BATCH_KEYS = 1000

/** The terms of one page of a listing. */
export interface PageRequest {
  readonly range: Range
  readonly limit: number
  readonly sizes: boolean
}

/** @throws StorageError `invalid-key`; RangeError */
export function pageRequest(options: ListOptions): PageRequest {
  const { prefix = '', delimiter, cursor, limit = MAX_PAGE, sizes = false } = options
  const after = checkAfter(options)
  const range: Range = {
    prefix: checkPrefix(prefix),
    after: cursor === undefined ? after : checkPrefix(cursor),
    before: undefined,
    rollUp: delimiter !== undefined,
    isDescending: false,
  }
  return { range, limit: checkLimit(limit), sizes }
}

export async function listPage(folders: ListedFolders, { range, limit, sizes }: PageRequest): Promise<KeyPage> {
  const items = await take(itemsIn(folders, range), limit + 1)
  const cursor = items.length > limit ? items[limit - 1] : undefined
  items.splice(limit)
  const batch = await batchOf(
    folders,
    items.filter((item) => !item.endsWith('/')),
    sizes,
  )
  return { ...batch, prefixes: items.filter((item) => item.endsWith('/')), ...(cursor !== undefined && { cursor }) }
}

/** Iterates over keys. @throws StorageError `invalid-key` at the first step */
export async function* walkFolders(folders: ListedFolders, options: WalkOptions): AsyncGenerator<KeyBatch> {
  const { prefix = '', after = '', before, order, sizes = false } = options
  const range: Range = {
    prefix: checkPrefix(prefix),
    after: checkPrefix(after),
    before: before === undefined ? undefined : checkPrefix(before),
    rollUp: false,
    isDescending: order === 'descending',
  }
  for await (const keys of itemsIn(folders, range)) yield await batchOf(folders, keys, sizes)
}

/**
 * Iterates over keys in no order. Memory holds one batch for each folder on the way down.
 * @param check Called before a folder is read, with its path
 */
export async function* walkUnordered(
  entries: (path: string) => Promise<AsyncIterable<Dirent>>,
  root: string,
  prefix: string,
  check: (path: string) => Promise<void>,
): AsyncGenerator<KeyBatch> {
  const folders = [checkPrefix(prefix).slice(0, prefix.lastIndexOf('/') + 1)]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    let keys: string[] = []
    try {
      const path = join(root, folder.slice(0, -1))
      await check(path)
      for await (const entry of await entries(path)) {
        const key = `${folder}${entry.name}`
        if (!isSegment(entry.name)) continue
        if (entry.isDirectory() && (`${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`)))
          folders.push(`${key}/`)
        if (!entry.isFile() || !key.startsWith(prefix) || keys.push(key) < BATCH_KEYS) continue
        yield { keys }
        keys = []
      }
    } catch (error) {
      // The folder never existed, or was removed meanwhile.
      if (!isGone(error)) throw error
    }
    if (keys.length > 0) yield { keys }
  }
}

async function take(items: AsyncIterable<readonly string[]>, count: number): Promise<string[]> {
  const taken: string[] = []
  for await (const some of items) {
    for (const item of some) if (taken.push(item) === count) return taken
  }
  return taken
}

/** Yields keys in order, and folders that are listed in place of their keys. */
async function* itemsIn(folders: ListedFolders, range: Range): AsyncGenerator<string[]> {
  const { prefix, after, before } = range
  const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  const isBehind = after > folder && !after.startsWith(folder)
  if (!isBehind && (before === undefined || before > folder)) yield* itemsOf(folders, folder, range)
}

async function* itemsOf(folders: ListedFolders, folder: string, range: Range): AsyncGenerator<string[]> {
  let items: string[] = []
  for (const name of await sortedNames(folders, folder, range)) {
    const item = folder + name
    if (name.endsWith('/') && !range.rollUp) {
      if (items.length > 0) yield items
      items = []
      yield* itemsOf(folders, item, range)
    } else if (items.push(item) === BATCH_KEYS) {
      yield items
      items = []
    }
  }
  if (items.length > 0) yield items
}

/** Returns the names in a folder that are in the range, and the folders that may have keys in the range. Sorts only these. */
async function sortedNames(folders: ListedFolders, folder: string, range: Range): Promise<string[]> {
  const { rollUp, isDescending } = range
  // The bounds as names in this folder. A bound in another folder excludes no name here, because a folder outside the range is not read.
  const prefix = range.prefix.slice(folder.length)
  const after = range.after.startsWith(folder) ? range.after.slice(folder.length) : ''
  const before = range.before?.startsWith(folder) === true ? range.before.slice(folder.length) : undefined
  const names = (await folders.names(folder)).filter((name) => {
    if (!name.startsWith(prefix) || (before !== undefined && name >= before)) return false
    return name > after || (name.endsWith('/') && !rollUp && after.startsWith(name))
  })
  // Without a comparator, text is sorted by code units. Names are ASCII, so that is the order of bytes.
  names.sort()
  return isDescending ? names.toReversed() : names
}

/** Returns the keys. If sizes are asked for, adds them, and leaves out blobs that were deleted meanwhile. */
async function batchOf(folders: ListedFolders, keys: readonly string[], isSized: boolean): Promise<KeyBatch> {
  if (!isSized) return { keys }
  const found: string[] = []
  const sizes: number[] = []
  for (let at = 0; at < keys.length; at += LOOKS_AT_ONCE) {
    const some = keys.slice(at, at + LOOKS_AT_ONCE)
    for (const [index, size] of (await Promise.all(some.map((key) => folders.size(key)))).entries()) {
      if (size === undefined) continue
      found.push(some[index] as string)
      sizes.push(size)
    }
  }
  return { keys: found, sizes }
}

/** The folders and files of a disk. */
export class Tree implements ListedFolders {
  readonly #disk: Disk
  readonly #root: string

  constructor(disk: Disk, root: string) {
    this.#disk = disk
    this.#root = root
  }

  async names(folder: string): Promise<string[]> {
    try {
      const names: string[] = []
      for (const entry of await this.#disk.readdir(join(this.#root, folder))) {
        if (!isSegment(entry.name)) continue
        if (entry.isDirectory()) names.push(`${entry.name}/`)
        else if (entry.isFile()) names.push(entry.name)
      }
      return names
    } catch (error) {
      // The folder never existed, or was removed meanwhile.
      if (isGone(error)) return []
      throw error
    }
  }

  async size(key: string): Promise<number | undefined> {
    try {
      const stats = await this.#disk.lstat(join(this.#root, key))
      return stats.isFile() ? stats.size : undefined
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
  }
}
