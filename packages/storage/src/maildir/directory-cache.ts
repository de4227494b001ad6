/**
 * Remembers the names in the directories of mailboxes, so that a directory of 100,000 files is not read again for each
 * message.
 *
 * - A remembered name is checked before it is used.
 * - A missing name is trusted as long as the directory has not changed. That means two things: its time of change is
 *   the same, and that time was old enough when the directory was read that no later change can have the same time.
 *   Dovecot does this too.
 */
import { join } from 'node:path'
import { type Disk, entriesIn, isGone } from '../disk/disk.ts'
import { uniquePartOf } from './file-name.ts'

/** Longer than the resolution of times on any file system. */
const SETTLED_MS = 2_000
/** The greatest number of names of all directories together. They need some 20 MB. A larger directory is read each time. */
const MAX_NAMES = 128 * 1024

interface DirectoryRead {
  /** The number of this read among all reads. */
  readonly turn: number
  readonly readAtMs: number
  readonly changedAtMs: number
  /** Names by their unique parts. */
  readonly names: ReadonlyMap<string, string>
}

export class DirectoryCache {
  readonly #disk: Disk
  readonly #maxNames: number
  /** In the order in which they were read. */
  readonly #known = new Map<string, DirectoryRead>()
  readonly #reading = new Map<string, Promise<DirectoryRead>>()
  #nameCount = 0
  #turns = 0

  constructor(disk: Disk, maxNames: number = MAX_NAMES) {
    this.#disk = disk
    this.#maxNames = maxNames
  }

  /**
   * Returns the name of the file with this unique part in the directory; undefined if there is none. While a directory is being
   * changed, reading it may miss a file.
   */
  async find(directory: string, unique: string): Promise<string | undefined> {
    const last = this.#known.get(directory)?.names.get(unique)
    if (last !== undefined && (await this.#changedAt(join(directory, last))) !== undefined) return last
    const turn = this.#turns
    const changedAtMs = await this.#changedAt(directory)
    if (changedAtMs === undefined) return undefined
    const isGood = (read: DirectoryRead): boolean =>
      // Read since this call began, or not changed since it was read.
      read.turn > turn || (read.changedAtMs === changedAtMs && read.readAtMs - changedAtMs > SETTLED_MS)
    const known = this.#known.get(directory)
    if (known !== undefined && isGood(known)) return known.names.get(unique)
    const shared = await this.#reading.get(directory)
    if (shared !== undefined && isGood(shared)) return shared.names.get(unique)
    // Other callers may have waited for the same read, which was too early. They now share the next one.
    const next = this.#reading.get(directory) ?? this.#begin(directory, changedAtMs)
    return (await next).names.get(unique)
  }

  #begin(directory: string, changedAtMs: number): Promise<DirectoryRead> {
    const reading = this.#read(directory, changedAtMs).finally(() => this.#reading.delete(directory))
    this.#reading.set(directory, reading)
    return reading
  }

  async #read(directory: string, changedAtMs: number): Promise<DirectoryRead> {
    const names = new Map<string, string>()
    const read = { turn: ++this.#turns, readAtMs: Date.now(), changedAtMs, names }
    for (const entry of await entriesIn(this.#disk, directory)) {
      const unique = entry.isFile() ? uniquePartOf(entry.name) : undefined
      if (unique !== undefined) names.set(unique, entry.name)
    }
    this.#keep(directory, read)
    return read
  }

  #keep(directory: string, read: DirectoryRead): void {
    this.#forget(directory)
    if (read.names.size > this.#maxNames) return
    this.#known.set(directory, read)
    this.#nameCount += read.names.size
    for (const oldest of this.#known.keys()) {
      if (this.#nameCount <= this.#maxNames) break
      this.#forget(oldest)
    }
  }

  #forget(directory: string): void {
    this.#nameCount -= this.#known.get(directory)?.names.size ?? 0
    this.#known.delete(directory)
  }

  /**
   * Returns when the file or directory last changed, by its ctime, because no program can set that; undefined if it is
   * missing.
   */
  async #changedAt(path: string): Promise<number | undefined> {
    try {
      return (await this.#disk.lstat(path)).ctimeMs
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
  }
}
