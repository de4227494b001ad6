/**
 * Checks if the path of a store still leads to its directory.
 *
 * If the file system is unmounted, the path leads to the directory beneath. If the directory is renamed, the path leads
 * nowhere, or to a directory that took its place. Mail that is written there would be missing when the store is back,
 * so the store writes none.
 *
 * The store is back if one of these is true:
 * - The directory is the one that was opened, by its device, its inode and its birth time.
 * - The directory has the marker of the store, by that file's inode and the time it was written. The device does not
 *   count: the same file system may get another number when it is mounted again (NFS, device mapper, a disk in another
 *   slot).
 * - The path was a mount point, is one again, and opens as at the start. Then the operator mounted another disk.
 */
import { lstatSync, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import { isStorageError, StorageError } from '../blob/error.ts'
import { type Disk, isGone } from './disk.ts'
import { Group } from './group.ts'
import { MARKER } from './marker.ts'

/** Callbacks for a directory that is lost and comes back. */
export interface RootWatch {
  /** Called when the path leads elsewhere and the store refuses mail. Called once, not for each message. */
  lost?(error: StorageError): void
  /** Called when the path leads to the store again, with the next message that is saved, even if saving it fails. */
  back?(): void
}

export interface RootOptions {
  readonly watch?: RootWatch
  /** Opens the directory as at the start. @throws StorageError if it can't be opened */
  reopen?(): void
}

interface Found {
  readonly directory: string
  readonly marker: string | undefined
  readonly isMountPoint: boolean
}

export class Root {
  readonly path: string
  readonly #disk: Disk
  readonly #options: RootOptions
  readonly #checks = new Group(() => this.#check())
  #found: Found | undefined
  #isLost = false

  /** If {@link opened} was not called, the first check takes the directory that it finds. */
  constructor(disk: Disk, path: string, options: RootOptions = {}) {
    this.path = path
    this.#disk = disk
    this.#options = options
  }

  /** Remembers the directory at the path. Called right after it was opened. */
  opened(): this {
    const stats = lstatSync(this.path)
    const marker = lstatSync(join(this.path, MARKER), { throwIfNoEntry: false })
    this.#found = {
      directory: identityOf(stats),
      marker: marker && markerOf(marker),
      isMountPoint: isMountPoint(stats, aboveSync(this.path)),
    }
    return this
  }

  /**
   * Checks the path.
   * @throws StorageError `lost` as long as it does not lead to the store
   */
  check(): Promise<void> {
    return this.#checks.join()
  }

  async #check(): Promise<void> {
    try {
      await this.#find()
    } catch (error) {
      if (isStorageError(error, 'lost') && !this.#isLost) {
        this.#isLost = true
        this.#options.watch?.lost?.(error)
      }
      throw error
    }
    if (!this.#isLost) return
    this.#isLost = false
    this.#options.watch?.back?.()
  }

  async #find(): Promise<void> {
    const stats = await this.#look(this.path)
    if (stats === undefined) throw this.#lost('is gone')
    const directory = identityOf(stats)
    this.#found ??= { directory, marker: undefined, isMountPoint: false }
    if (this.#found.directory === directory) return
    if (stats.isDirectory() && (await this.#hasMarker())) this.#found = { ...this.#found, directory }
    else await this.#reopen(stats)
  }

  async #hasMarker(): Promise<boolean> {
    const marker = await this.#look(join(this.path, MARKER))
    return marker !== undefined && markerOf(marker) === this.#found?.marker
  }

  async #reopen(stats: Stats): Promise<void> {
    const { reopen } = this.#options
    const above = this.#found?.isMountPoint === true ? await this.#look(dirname(this.path)) : undefined
    if (reopen === undefined || !isMountPoint(stats, above)) throw this.#lost('is not the directory that was opened')
    try {
      reopen()
      this.opened()
    } catch (error) {
      throw this.#lost('is another file system, which cannot be used', error)
    }
  }

  async #look(path: string): Promise<Stats | undefined> {
    try {
      return await this.#disk.lstat(path)
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
  }

  #lost(how: string, cause?: unknown): StorageError {
    const why = cause instanceof Error ? cause.message : 'was it unmounted or renamed?'
    return new StorageError('lost', `${this.path} ${how}: ${why}`, { cause })
  }
}

/**
 * Returns the identity of a directory. Another directory with the same path, or with the same inode number, has a
 * different one.
 */
export function identityOf({ dev, ino, birthtimeMs }: Stats): string {
  return `${dev} ${ino} ${birthtimeMs}`
}

/**
 * Returns the identity of a marker. Two markers with the same inode number on different file systems differ in the time
 * of writing.
 */
function markerOf({ ino, mtimeMs }: Stats): string {
  return `${ino} ${mtimeMs}`
}

function isMountPoint({ dev }: Stats, above: Stats | undefined): boolean {
  return above !== undefined && above.dev !== dev
}

/** Returns undefined if Deno has no permission to read it. */
function aboveSync(path: string): Stats | undefined {
  try {
    return lstatSync(dirname(path))
  } catch {
    return undefined
  }
}
