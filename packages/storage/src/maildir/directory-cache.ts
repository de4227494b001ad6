/**
 * What the directories of mailboxes held when they were last read, so that one of 100,000 files is not read again for each message
 * that is looked for.
 *
 * - A name that was there is tried before it is believed.
 * - That there is none is believed as long as the directory has not changed since: as long as its time of change is the same, and was
 *   so far past when it was read that no later change can have got the same. Dovecot goes by this too.
 */
import { join } from 'node:path'
import { type Disk, entriesIn, isGone } from '../disk/disk.ts'
import { uniquePartOf } from './file-name.ts'

/** More than the times of any file system differ by at least. */
const SETTLED_MS = 2_000
/** Of all directories together; they take some 20 MB. One that alone has more is read each time. */
const MAX_NAMES = 128 * 1024

interface DirectoryRead {
  /** Which of all readings it is. */
  readonly turn: number
  readonly readAtMs: number
  readonly changedAtMs: number
  /** By their unique parts. */
  readonly names: ReadonlyMap<string, string>
}

export class DirectoryCache {
  readonly #disk: Disk
  readonly #maxNames: number
  /** The one that was read last is the last. */
  readonly #known = new Map<string, DirectoryRead>()
  readonly #reading = new Map<string, Promise<DirectoryRead>>()
  #nameCount = 0
  #turns = 0

  constructor(disk: Disk, maxNames: number = MAX_NAMES) {
    this.#disk = disk
    this.#maxNames = maxNames
  }

  /**
   * What the file with this unique part is called in the directory; undefined where there is none. A directory that is
   * being changed may hide it, from whoever reads it.
   */
  async find(directory: string, unique: string): Promise<string | undefined> {
    const last = this.#known.get(directory)?.names.get(unique)
    if (last !== undefined && (await this.#changedAt(join(directory, last))) !== undefined) return last
    const turn = this.#turns
    const changedAtMs = await this.#changedAt(directory)
    if (changedAtMs === undefined) return undefined
    const isGood = (read: DirectoryRead): boolean =>
      // Read since this was asked, or as good as that.
      read.turn > turn || (read.changedAtMs === changedAtMs && read.readAtMs - changedAtMs > SETTLED_MS)
    const known = this.#known.get(directory)
    if (known !== undefined && isGood(known)) return known.names.get(unique)
    const shared = await this.#reading.get(directory)
    if (shared !== undefined && isGood(shared)) return shared.names.get(unique)
    // Several may have waited for the one that was not good enough: now they share the next.
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

  /** When the file or directory last changed, by its ctime, which nobody can set; undefined where there is none. */
  async #changedAt(path: string): Promise<number | undefined> {
    try {
      return (await this.#disk.lstat(path)).ctimeMs
    } catch (error) {
      if (isGone(error)) return undefined
      throw error
    }
  }
}
