/**
 * The directory of a store, and whether its path still leads there.
 *
 * When its file system is unmounted, the path leads to the directory beneath. When somebody renames it, the path leads nowhere, or
 * to what was put in its place. Mail that was kept there would be gone once the store is back, so none is.
 *
 * The store is back when one of these is true:
 * - The directory is the one that was opened, by its device, its inode and the time of its birth.
 * - It has the marker that was there, by that file's inode and the time it was written. The device is not asked for: the same file
 *   system may get another number when it is mounted again (NFS, device mapper, a disk in another slot).
 * - It was a mount point, is one again, and can be opened as at the start. Then somebody mounted another disk.
 */
import { lstatSync, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'
import { isStorageError, StorageError } from '../blob/error.ts'
import { type Disk, isGone } from './disk.ts'
import { Group } from './group.ts'
import { MARKER } from './marker.ts'

/** Who wants to know what becomes of the directory. */
export interface RootWatch {
  /** The path leads elsewhere, and mail is refused. Called once, not for each message. */
  lost?(error: StorageError): void
  /** It leads to the store again. Called when the next message is kept, or tried to be. */
  back?(): void
}

export interface RootOptions {
  readonly watch?: RootWatch
  /** Opens the directory as at the start. @throws StorageError where that can't be */
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

  /** Without {@link opened}, the first check takes what it finds. */
  constructor(disk: Disk, path: string, options: RootOptions = {}) {
    this.path = path
    this.#disk = disk
    this.#options = options
  }

  /** Notes what is at the path now. Called right after the directory was opened. */
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

  /** @throws StorageError `lost` while the path does not lead to the store */
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
      throw this.#lost('is another file system, and can not be used', error)
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

/** What one directory does not share with another that had its path, or its number. */
export function identityOf({ dev, ino, birthtimeMs }: Stats): string {
  return `${dev} ${ino} ${birthtimeMs}`
}

/** A marker is written once: two of one inode, of different file systems, differ in when. */
function markerOf({ ino, mtimeMs }: Stats): string {
  return `${ino} ${mtimeMs}`
}

function isMountPoint({ dev }: Stats, above: Stats | undefined): boolean {
  return above !== undefined && above.dev !== dev
}

/** Undefined where Deno was not permitted to look at it. */
function aboveSync(path: string): Stats | undefined {
  try {
    return lstatSync(dirname(path))
  } catch {
    return undefined
  }
}
