/**
 * Blobs as files: a key is a path below one directory.
 *
 * Files are 0600 and directories 0700. A key can't lead out: keys hold neither `..` nor an absolute path, directories
 * on the way are never symbolic links, and a link in the place of a file is not followed. (That is against mistakes and
 * against hostile keys. Whoever may write into the directory itself is its owner.)
 *
 * For Linux and macOS. Of keys that differ in nothing but case, a disk that doesn't mind case can hold one.
 */
import { constants } from 'node:fs'
import { dirname, join } from 'node:path'
import type { BlobInfo, BlobReader, BlobStore, BlobWriter, KeyPage, ListOptions, WriteOptions } from '../blob.ts'
import { checkKey, checkLimit, checkPrefix, MAX_PAGE } from '../blob.ts'
import { StorageError } from '../error.ts'
import { isTimeFolder, rootOf } from '../layout.ts'
import { Directories } from './directories.ts'
import { type Disk, diskError, nodeDisk, readingDisk, systemCode } from './disk.ts'
import { Listing } from './listing.ts'
import type { Layout } from './marker.ts'
import { openDirectory } from './opening.ts'
import { Reading, regular } from './reading.ts'
import { Slots } from './slots.ts'
import { Temporary } from './temporary.ts'
import { FileWriter, type Workshop } from './writer.ts'

export interface FsOptions {
  /** Blobs over 64 KiB that are written at one time, and as many that are read; more wait. Default 1,024. */
  readonly maxOpenFiles?: number
  /**
   * Default true. False only looks into a directory that is there: nothing is made, tried out or changed, and writing is
   * `denied`.
   */
  readonly writable?: boolean
}

const LAYOUT: Layout = { name: 'fs', version: 1 }
const DEFAULT_MAX_OPEN_FILES = 1024
/** Files open at one time for short work: small blobs, directories. */
export const MAX_BRIEF = 64

/**
 * Blobs as files in a directory, which is made where it is missing.
 *
 * @throws StorageError at once when the directory can't be used: its message says why. `other-layout` when it holds mail
 * in another layout; nothing is done to it then.
 * @throws RangeError when an option is out of its range
 */
export function fs(directory: string, options: FsOptions = {}): BlobStore {
  return fsOn(nodeDisk, directory, options)
}

/** The same on a disk that a test watches, or breaks; or as a part of another layout. */
export function fsOn(disk: Disk, directory: string, options: FsOptions = {}, layout: Layout = LAYOUT): BlobStore {
  const maxOpenFiles = checkOpenFiles(options.maxOpenFiles)
  const { writable = true } = options
  const root = openDirectory(directory, layout, { writable })
  return fsAt(writable ? disk : readingDisk(disk), root, maxOpenFiles)
}

/** The same in a directory that was opened already: of a disk that a test simulates. */
export function fsAt(disk: Disk, root: string, maxOpenFiles: number = DEFAULT_MAX_OPEN_FILES): BlobStore {
  return new FsStore(disk, root, maxOpenFiles)
}

/** Lets through what can be a bound on open files. @throws RangeError */
export function checkOpenFiles(maxOpenFiles: number = DEFAULT_MAX_OPEN_FILES): number {
  if (Number.isInteger(maxOpenFiles) && maxOpenFiles >= 1) return maxOpenFiles
  throw new RangeError(`maxOpenFiles: ${maxOpenFiles} is not a whole number from 1`)
}

class FsStore implements BlobStore {
  readonly #root: string
  readonly #shop: Workshop
  readonly #reading: Reading

  constructor(disk: Disk, root: string, maxOpenFiles: number) {
    const brief = new Slots(MAX_BRIEF)
    this.#root = root
    this.#reading = new Reading(disk, brief, new Slots(maxOpenFiles))
    this.#shop = {
      disk,
      brief,
      large: new Slots(maxOpenFiles),
      directories: new Directories(disk, brief, root),
      temporary: new Temporary(disk, join(root, '.tmp')),
    }
  }

  write(key: string, options: WriteOptions = {}): BlobWriter {
    return new FileWriter(this.#shop, this.#path(key), options.size)
  }

  async read(key: string): Promise<BlobReader> {
    const path = this.#path(key)
    return this.#reading.read(key, () => this.#openFile(path))
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    const path = this.#path(key)
    try {
      await this.#checkInside(path)
      const stats = regular(await this.#shop.disk.lstat(path), path)
      return { size: stats.size, modifiedAt: stats.mtime }
    } catch (error) {
      const failure = diskError(error, `can't look at ${key}`)
      if (failure.code === 'not-found') return undefined
      throw failure
    }
  }

  async list(options: ListOptions = {}): Promise<KeyPage> {
    const request = {
      prefix: checkPrefix(options.prefix ?? ''),
      cursor: checkPrefix(options.cursor ?? ''),
      rollUp: options.delimiter !== undefined,
      limit: checkLimit(options.limit ?? MAX_PAGE),
      sizes: options.sizes ?? false,
    }
    try {
      const folder = request.prefix.slice(0, request.prefix.lastIndexOf('/') + 1)
      await this.#checkInside(join(this.#root, folder, 'any'))
      return await this.#shop.brief.run(() => new Listing(this.#shop.disk, this.#root, request).page())
    } catch (error) {
      const failure = diskError(error, `can't list ${request.prefix}`)
      if (failure.code === 'not-found') return { keys: [], prefixes: [], ...(request.sizes && { sizes: [] }) }
      throw failure
    }
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key)
    const { disk, directories } = this.#shop
    try {
      await this.#checkInside(path)
      await disk.unlink(path).catch((error: unknown) => {
        // Gone, but maybe not for good: who removed it may have been killed before the sync.
        if (systemCode(error) !== 'ENOENT') throw error
      })
      await directories.flush(dirname(path))
    } catch (error) {
      const failure = diskError(error, `can't delete ${key}`)
      if (failure.code !== 'not-found') throw failure
    }
  }

  async sweep(olderThanMs: number): Promise<number> {
    const before = Date.now() - olderThanMs
    try {
      await this.#removeEmpty('', before)
      return await this.#shop.temporary.sweep(before)
    } catch (error) {
      throw diskError(error, `can't sweep ${this.#root}`)
    }
  }

  #path(key: string): string {
    return join(this.#root, checkKey(key))
  }

  /** A link on the way to the file would lead out of the store. */
  async #checkInside(path: string): Promise<void> {
    const directory = dirname(path)
    if ((await this.#shop.disk.realpath(directory)) !== directory) {
      throw new StorageError('denied', `${directory} leads out of the store`)
    }
  }

  async #openFile(path: string): Promise<number> {
    await this.#checkInside(path)
    return this.#shop.disk.open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  }

  /**
   * Removes folders of mail that hold nothing, the deepest first. One that fills meanwhile stays: `rmdir` sees to that. What is no
   * folder of ours is not even looked into: somebody may have named a directory that holds other things too.
   */
  async #removeEmpty(folder: string, before: number): Promise<void> {
    const { disk } = this.#shop
    for (const entry of await disk.readdir(join(this.#root, folder))) {
      const below = `${folder}${entry.name}/`
      const isRoot = below === rootOf(true)
      if (!entry.isDirectory() || (!isRoot && !isTimeFolder(below))) continue
      const path = join(this.#root, below)
      try {
        const { mtimeMs } = await disk.lstat(path)
        await this.#removeEmpty(below, before)
        if (mtimeMs < before && !isRoot) await disk.rmdir(path)
      } catch (error) {
        const code = systemCode(error)
        if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error
      }
    }
  }
}
