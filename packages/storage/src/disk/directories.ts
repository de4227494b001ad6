/**
 * Makes directories that survive a power cut, and syncs them in groups.
 *
 * A name in a directory is safe once the directory was synced after the name was made. One sync covers every name that
 * was made before it began. So one sync at a time runs for a directory, and all callers that come meanwhile share the
 * next one. A hundred commits at once cost a few syncs, and a single commit waits for no other.
 *
 * A directory is also a name in its parent. So a process that uses a directory for the first time also syncs the
 * parent, even if the directory exists: another process may have made it and not synced it yet.
 *
 * A sweep may remove a known directory while it is empty, and another process may make it again and not have synced it
 * yet. So each sync checks that the directory is the known one, by its device, its inode number and its birth time,
 * because numbers are used again. A directory with a name in it cannot be removed, so one check is enough.
 *
 * If a file system was unmounted, the path leads to the directory beneath it. The same check finds that too, because a
 * directory becomes known only after the root was checked. So the sync of a known directory needs no other call for it.
 */
import { constants } from 'node:fs'
import { dirname } from 'node:path'
import { StorageError } from '../blob/error.ts'
import { type Disk, systemCode } from './disk.ts'
import { Group } from './group.ts'
import { identityOf, type Root } from './root.ts'
import type { Slots } from './slots.ts'

/** Enough for a store in folders by time, which writes only to its last few directories. */
const MAX_KNOWN = 512

export class Directories {
  readonly #disk: Disk
  readonly #slots: Slots
  readonly #root: Root
  readonly #top: string
  readonly #maxKnown: number
  /** The identity of each directory; see {@link identityOf}. */
  readonly #known = new Map<string, Promise<string>>()
  readonly #groups = new Map<string, Group<string>>()

  /**
   * @param top The directory that all others lie in. It exists: the root, or a directory in it
   * @param maxKnown The most directories that are remembered as existing and safe; the oldest is forgotten first
   */
  constructor(disk: Disk, slots: Slots, root: Root, top: string = root.path, maxKnown: number = MAX_KNOWN) {
    this.#maxKnown = maxKnown
    this.#disk = disk
    this.#slots = slots
    this.#root = root
    this.#top = top
  }

  /** @throws StorageError `lost` as long as the path of the store leads elsewhere */
  async check(): Promise<void> {
    try {
      await this.#root.check()
    } catch (error) {
      // So when the store is back, the first use of each directory checks the root.
      this.#known.clear()
      throw error
    }
  }

  /** Returns whether the directory is remembered as existing and safe. */
  isKnown(directory: string): boolean {
    return this.#known.has(directory)
  }

  /** Makes the directory in the top directory if it is missing. Resolves when it is durable. */
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

  /** Forgets the directory and those above it, because one of them is gone. */
  forget(directory: string): void {
    for (let gone = directory; gone.length > this.#top.length; gone = dirname(gone)) this.#known.delete(gone)
  }

  /** Resolves when the directory, and every name that was made in it before the call, is durable. */
  async sync(directory: string): Promise<void> {
    const synced = await this.flush(directory)
    if (directory === this.#top) return this.check()
    if ((await this.#ensured(directory)) === synced) return
    this.forget(directory)
    if ((await this.#ensured(directory)) === synced) return
    throw new StorageError('unavailable', `${directory} was removed, with its contents`)
  }

  /**
   * Resolves when all names that were made or removed in the directory before the call are on the disk. The directory
   * itself may be removed meanwhile. Returns the identity of the directory that was synced.
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
    // Rejects a symbolic link, which would lead out of the store.
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
