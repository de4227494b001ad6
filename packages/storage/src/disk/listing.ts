/**
 * Lists keys in order. Directories have no order.
 *
 * In the order of keys, a directory counts as its name with a `/` behind it. So each directory is read whole and sorted
 * with these names. The listing enters a subdirectory at its place in this order. Directories outside the prefix or
 * before the cursor are not read. Memory holds the directories on the way down, never the whole tree.
 *
 * It skips names that are not keys: hidden names (the temporary directory among them), symbolic links, devices.
 */
import { join } from 'node:path'
import { checkLimit, checkPrefix, isSegment, type KeyPage, type ListOptions, MAX_PAGE } from '../blob/contract.ts'
import { type Disk, isGone } from './disk.ts'

export interface Request {
  readonly prefix: string
  readonly cursor: string
  readonly rollUp: boolean
  readonly limit: number
  readonly sizes: boolean
}

/** The folders as a listing needs them. */
export interface ListedFolders {
  /** Returns the names in the folder, in any order: of blobs, and of folders with a `/` behind them. @param folder '' or ending in `/` */
  names(folder: string): Promise<string[]>
  /** Returns the size of a blob; undefined if it is gone. */
  size(key: string): Promise<number | undefined>
}

/** The greatest number of sizes that are asked for at the same time. */
const LOOKS_AT_ONCE = 16

/** @throws StorageError `invalid-key`; RangeError */
export function requestOf({
  prefix = '',
  cursor = '',
  delimiter,
  limit = MAX_PAGE,
  sizes = false,
}: ListOptions): Request {
  return {
    prefix: checkPrefix(prefix),
    cursor: checkPrefix(cursor),
    rollUp: delimiter !== undefined,
    limit: checkLimit(limit),
    sizes,
  }
}

export class Listing {
  readonly #folders: ListedFolders
  readonly #request: Request
  readonly #keys: string[] = []
  readonly #prefixes: string[] = []
  #last: string | undefined
  #more = false

  constructor(folders: ListedFolders, request: Request) {
    this.#folders = folders
    this.#request = request
  }

  async page(): Promise<KeyPage> {
    const { prefix } = this.#request
    await this.#visit(prefix.slice(0, prefix.lastIndexOf('/') + 1))
    const found = this.#request.sizes ? await this.#look() : { keys: this.#keys }
    const page = { ...found, prefixes: this.#prefixes }
    return this.#more && this.#last !== undefined ? { ...page, cursor: this.#last } : page
  }

  /** Adds the contents of the folder, '' or ending in `/`, until the page is full. */
  async #visit(folder: string): Promise<void> {
    const { prefix, cursor, rollUp } = this.#request
    // Drops names before the cursor first, because each page of a large folder comes past them again.
    const after = cursor.startsWith(folder) ? cursor.slice(folder.length) : ''
    const names = (await this.#folders.names(folder)).filter((name) => name > after || after.startsWith(name))
    for (const name of names.toSorted((a, b) => (a < b ? -1 : 1))) {
      const item = folder + name
      const isFolder = name.endsWith('/')
      if (!item.startsWith(prefix) && !(isFolder && prefix.startsWith(item))) continue
      const isRolledUp = isFolder && rollUp && item.length > prefix.length
      if (isFolder && !isRolledUp) {
        if (item < cursor && !cursor.startsWith(item)) continue
        await this.#visit(item)
      } else if (item > cursor) {
        this.#add(item, isRolledUp ? this.#prefixes : this.#keys)
      }
      if (this.#more) return
    }
  }

  #add(item: string, to: string[]): void {
    if (this.#keys.length + this.#prefixes.length === this.#request.limit) {
      this.#more = true
      return
    }
    to.push(item)
    this.#last = item
  }

  /** Returns the keys with their sizes. Leaves out blobs that are gone meanwhile. */
  async #look(): Promise<{ keys: string[]; sizes: number[] }> {
    const keys: string[] = []
    const sizes: number[] = []
    for (let at = 0; at < this.#keys.length; at += LOOKS_AT_ONCE) {
      const some = this.#keys.slice(at, at + LOOKS_AT_ONCE)
      const found = await Promise.all(some.map((key) => this.#folders.size(key)))
      for (const [index, size] of found.entries()) {
        if (size === undefined) continue
        keys.push(some[index] as string)
        sizes.push(size)
      }
    }
    return { keys, sizes }
  }
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
