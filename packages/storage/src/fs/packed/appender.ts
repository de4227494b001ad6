/**
 * Writes to the pack of one folder, and commits in groups: at most one write and one sync run at a time, and all
 * commits that come meanwhile share the next write and sync. A single commit waits for no other.
 *
 * After a failed write or sync, the pack is not used again, because the content of its pages is unknown. The appender
 * cuts it to the part that was safe, tells the waiting writers, and begins another pack for the next.
 *
 * A sweep, of this store or of another process, removes a pack once everything in it was deleted. It gives the pack a
 * second name first, and reads it once more. Then it removes the first name, and the second one last. So if the pack
 * has only its first name after the appender's sync, that last read will find the new entries. Otherwise the appender
 * writes the same to another pack.
 *
 * After an unmount, the path of the store leads elsewhere. So the appender also checks that the name leads to the file
 * that it has open. For a new pack, the path is checked before (disk/directories.ts).
 */
import { constants, type Stats } from 'node:fs'
import { join } from 'node:path'
import { StorageError } from '../../blob/error.ts'
import type { Directories } from '../../disk/directories.ts'
import { type Disk, isGone } from '../../disk/disk.ts'
import { type Draft, encode, lengthOf, MAGIC, seedOf } from './entry.ts'
import { packName } from './pack-name.ts'

/** The greatest number of bytes in one write. */
export const MAX_BATCH_BYTES: number = 4 * 1024 * 1024
/** If a pack is larger, it is closed, and the next entry begins another pack. */
const MAX_PACK_BYTES = 64 * 1024 * 1024

/** What all appenders of one store share. */
export interface AppenderDeps {
  readonly disk: Disk
  readonly directories: Directories
  /** Makes a stem for a pack's name. No other process makes the same. */
  newStem(): string
}

interface OpenPack {
  readonly stem: string
  readonly path: string
  readonly file: number
  /** The identity of the file. While it is open, no other file gets its number. */
  readonly is: Pick<Stats, 'dev' | 'ino'>
  /** How many bytes of it are safe; 0 if its name may not be safe. */
  end: number
}

interface Waiting {
  readonly drafts: readonly Draft[]
  resolve(): void
  reject(error: unknown): void
}

export class Appender {
  readonly #deps: AppenderDeps
  readonly #path: string
  readonly #idle: () => void
  #waiting: Waiting[] = []
  #pack: OpenPack | undefined
  /** The stem of a pack that is being made. A file of this name may exist already. */
  #beginning: string | undefined
  #isBusy = false

  /**
   * @param path The folder's directory
   * @param idle Called when no caller waits any more
   */
  constructor(deps: AppenderDeps, path: string, idle: () => void) {
    this.#deps = deps
    this.#path = path
    this.#idle = idle
  }

  get isBusy(): boolean {
    return this.#isBusy
  }

  get isOpen(): boolean {
    return this.#pack !== undefined
  }

  /** Returns how many bytes of the pack are safe; undefined if it is not the open one. */
  safeEnd(stem: string): number | undefined {
    if (this.#pack?.stem === stem) return this.#pack.end
    return this.#beginning === stem ? 0 : undefined
  }

  /** Resolves when all entries are safe, at the same time. The caller does not change their bodies before. */
  append(...drafts: readonly Draft[]): Promise<void> {
    const appended = new Promise<void>((resolve, reject) => this.#waiting.push({ drafts, resolve, reject }))
    if (!this.#isBusy) void this.#run()
    return appended
  }

  /** Closes the pack. The next entry begins another one. Not called while an append runs. */
  async close(): Promise<void> {
    const pack = this.#pack
    this.#pack = undefined
    // The pack was synced, so an error of closing it does not concern the stored entries.
    if (pack !== undefined) await this.#deps.disk.close(pack.file).catch(() => undefined)
  }

  async #run(): Promise<void> {
    this.#isBusy = true
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch()
      try {
        await this.#commit(batch.flatMap(({ drafts }) => drafts))
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#isBusy = false
    this.#idle()
  }

  #nextBatch(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const { drafts } of this.#waiting) {
      for (const draft of drafts) bytes += lengthOf(draft)
      if (count > 0 && bytes > MAX_BATCH_BYTES) break
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #commit(drafts: readonly Draft[]): Promise<void> {
    if (await this.#write(drafts)) return
    // A sweep is removing the pack. It does not remove the next one, which is new.
    if (await this.#write(drafts)) return
    throw new StorageError('unavailable', `two packs in ${this.#path} were removed while they were written to`)
  }

  /** Makes the entries safe. Returns false if a sweep is about to remove the pack. */
  async #write(drafts: readonly Draft[]): Promise<boolean> {
    const { disk, directories } = this.#deps
    const pack = await this.#open()
    try {
      const bytes = encodeAll(drafts, pack)
      await writeAll(disk, pack.file, bytes)
      const syncs = [disk.fsync(pack.file)]
      if (pack.end === 0) syncs.push(directories.sync(this.#path))
      // Waits for both, so that the file is not closed while one of them runs.
      for (const sync of await Promise.allSettled(syncs)) if (sync.status === 'rejected') throw sync.reason
      if (!(await this.#hasOneName(pack))) {
        // Cuts the entries off, durably. They go to another pack. If they are deleted there later, they must not come
        // back from this one.
        await disk.truncate(pack.file, pack.end)
        await disk.fsync(pack.file)
        await this.#giveUp(pack)
        return false
      }
      pack.end += bytes.length
    } catch (error) {
      await this.#giveUp(pack)
      throw error
    }
    if (pack.end > MAX_PACK_BYTES) await this.close()
    return true
  }

  async #open(): Promise<OpenPack> {
    try {
      return (this.#pack ??= await this.#begin())
    } finally {
      this.#beginning = undefined
    }
  }

  /** Returns whether no sweep has begun to remove the pack, and the path still leads to it. */
  async #hasOneName({ path, is }: OpenPack): Promise<boolean> {
    try {
      // Asks with the path and not with the open file, because between the two removals the open file also has one
      // name.
      const { nlink, dev, ino } = await this.#deps.disk.lstat(path)
      return nlink === 1 && dev === is.dev && ino === is.ino
    } catch (error) {
      if (isGone(error)) return false
      throw error
    }
  }

  async #begin(): Promise<OpenPack> {
    const { directories } = this.#deps
    try {
      return await this.#create()
    } catch (error) {
      if (!isGone(error)) throw error
      // A sweep removed the directory while it was empty.
      directories.forget(this.#path)
      return this.#create()
    }
  }

  async #create(): Promise<OpenPack> {
    const { directories, disk, newStem } = this.#deps
    await directories.ensure(this.#path)
    const stem = newStem()
    this.#beginning = stem
    const path = join(this.#path, packName(stem))
    const file = await disk.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      return { stem, path, file, is: await disk.fstat(file), end: 0 }
    } catch (error) {
      await disk.unlink(path).catch(() => undefined)
      await disk.close(file).catch(() => undefined)
      throw error
    }
  }

  /** Removes the entries that were not committed, if the disk allows it, and closes the pack. */
  async #giveUp(pack: OpenPack): Promise<void> {
    const { disk } = this.#deps
    // Cuts the pack even if its name is removed next. In a file system that was unmounted, the removal fails.
    await disk.truncate(pack.file, pack.end).catch(() => undefined)
    if (pack.end === 0) await disk.unlink(pack.path).catch(() => undefined)
    await this.close()
  }
}

function encodeAll(drafts: readonly Draft[], { stem, end }: OpenPack): Buffer {
  const head = end === 0 ? MAGIC : new Uint8Array(0)
  const bytes = Buffer.allocUnsafe(drafts.reduce((sum, draft) => sum + lengthOf(draft), head.length))
  bytes.set(head)
  const seed = seedOf(stem)
  let at = head.length
  for (const draft of drafts) {
    encode(draft, bytes, at, seed, end)
    at += lengthOf(draft)
  }
  return bytes
}

async function writeAll(disk: Disk, file: number, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const written = await disk.write(file, bytes, at, bytes.length - at)
    if (written === 0) throw new StorageError('unavailable', 'the disk accepts no more bytes')
    at += written
  }
}
