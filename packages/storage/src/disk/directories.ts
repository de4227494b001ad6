/**
 * Directories that outlive a power cut, and the group commit.
 *
 * A name that was made in a directory is safe once that directory was synced afterwards. One sync covers every name
 * made before it began, so at most one runs for a directory at a time, and whoever comes meanwhile shares the next one:
 * a hundred commits at once cost a few syncs, and a lone one waits for nobody.
 *
 * A directory is itself a name in the one above. So the first time that a process uses one it also syncs the one above,
 * even if the directory was there: another process may have made it a moment ago, and not have come to the sync yet.
 *
 * A directory that is known may be removed by a sweep, while it is empty, and made again by another process that has not
 * come to the sync yet. So each sync looks whether the directory is still the one that is known: its device, its inode number and
 * the time of its birth, as numbers are used again. While a name is in it nobody can remove it, so looking once is enough.
 *
 * The same look tells whether the path still leads into the store, and not to what lies beneath a file system that was unmounted: a
 * directory becomes known only after the root was checked. So a sync of a known one costs no call for it.
 */
import { constants } from 'node:fs'
import { dirname } from 'node:path'
import { StorageError } from '../blob/error.ts'
import { type Disk, systemCode } from './disk.ts'
import { Group } from './group.ts'
import { identityOf, type Root } from './root.ts'
import type { Slots } from './slots.ts'

/** Enough for a store by time: only its last few are written to. */
const MAX_KNOWN = 512

export class Directories {
  readonly #disk: Disk
  readonly #slots: Slots
  readonly #root: Root
  readonly #top: string
  readonly #maxKnown: number
  /** Which directory each is; see {@link identityOf}. */
  readonly #known = new Map<string, Promise<string>>()
  readonly #groups = new Map<string, Group<string>>()

  /**
   * @param top The directory that all others lie in, which is there: the root, or one in it
   * @param maxKnown Directories that are known to be there and safe; the oldest is forgotten first.
   */
  constructor(disk: Disk, slots: Slots, root: Root, top: string = root.path, maxKnown: number = MAX_KNOWN) {
    this.#maxKnown = maxKnown
    this.#disk = disk
    this.#slots = slots
    this.#root = root
    this.#top = top
  }

  /** @throws StorageError `lost` while the path of the store leads elsewhere */
  async check(): Promise<void> {
    try {
      await this.#root.check()
    } catch (error) {
      // Once the store is back, the first to use a directory checks the root.
      this.#known.clear()
      throw error
    }
  }

  /** Whether nothing is to be made of the directory, as far as is known. */
  isKnown(directory: string): boolean {
    return this.#known.has(directory)
  }

  /** Makes the directory, which lies in the top, where it is missing; resolves when it is there to stay. */
  async ensure(directory: string): Promise<void> {
    await (directory === this.#top ? this.check() : this.#ensured(directory))
  }

  #ensured(directory: string): Promise<string> {
    const known = this.#known.get(directory)
    if (known !== undefined) return known
    if (this.#known.size >= this.#maxKnown) {
      for (const oldest of this.#known.keys()) {
        this.#known.delete(oldest)
        break
      }
    }
    const made = this.#make(directory)
    this.#known.set(directory, made)
    made.catch(() => this.forget(directory))
    return made
  }

  /** Forgets that the directory, and those above it, were there: one of them turned out to be gone. */
  forget(directory: string): void {
    for (let gone = directory; gone.length > this.#top.length; gone = dirname(gone)) this.#known.delete(gone)
  }

  /** Resolves when every name that was made in the directory before the call is safe, and so the directory is. */
  async sync(directory: string): Promise<void> {
    const synced = await this.flush(directory)
    if (directory === this.#top) return this.check()
    if ((await this.#ensured(directory)) === synced) return
    this.forget(directory)
    if ((await this.#ensured(directory)) === synced) return
    throw new StorageError('unavailable', `${directory} was removed, and what was in it`)
  }

  /**
   * Resolves when every name that was made or removed in the directory before the call is so on the disk, whatever
   * becomes of the directory itself. Answers which directory it was.
   */
  flush(directory: string): Promise<string> {
    let group = this.#groups.get(directory)
    if (group === undefined) {
      group = new Group(
        () => this.#slots.run(() => this.#syncNow(directory)),
        () => this.#groups.delete(directory),
      )
      this.#groups.set(directory, group)
    }
    return group.join()
  }

  async #make(directory: string): Promise<string> {
    const above = dirname(directory)
    await this.ensure(above)
    try {
      await this.#disk.mkdir(directory, 0o700)
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error
    }
    const stats = await this.#disk.lstat(directory)
    // A symbolic link here would lead out of the store.
    if (!stats.isDirectory()) throw new StorageError('denied', `${directory} is not a directory`)
    await this.sync(above)
    return identityOf(stats)
  }

  async #syncNow(directory: string): Promise<string> {
    const file = await this.#disk.open(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    try {
      await this.#disk.fsync(file)
      return identityOf(await this.#disk.fstat(file))
    } finally {
      await this.#disk.close(file)
    }
  }
}
