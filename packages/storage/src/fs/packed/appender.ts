/**
 * The pack of one folder that this store writes to, and the group commit: at most one write and one sync are under way, and who
 * comes meanwhile shares the next. A lone commit waits for nobody.
 *
 * A pack is never gone on with after a failed write or sync: what its pages hold then is not known. It is cut to what was safe,
 * those who waited are told, and the next begins another pack.
 *
 * A sweep, of this store or of another process, removes a pack once everything in it was deleted. Before that it gives it a second
 * name, and looks once more; then the first name goes, and the second last. So who sees after its sync that its pack still has its
 * first name, and no other, was seen by that look; everybody else writes the same to another pack.
 *
 * Who sees that the name still leads to the file that it has open knows also that the path of the store does not lead elsewhere, as
 * after an unmount. A new pack is not begun before that was checked (disk/directories.ts).
 */
import { constants, type Stats } from 'node:fs'
import { join } from 'node:path'
import { StorageError } from '../../blob/error.ts'
import type { Directories } from '../../disk/directories.ts'
import { type Disk, isGone } from '../../disk/disk.ts'
import { type Draft, encode, lengthOf, MAGIC, seedOf } from './entry.ts'
import { packName } from './pack-name.ts'

/** What is written at one go, at the most. */
export const MAX_BATCH_BYTES: number = 4 * 1024 * 1024
/** A pack that has got so long is not written to any more. */
const MAX_PACK_BYTES = 64 * 1024 * 1024

/** What the appenders of one store share. */
export interface AppenderDeps {
  readonly disk: Disk
  readonly directories: Directories
  /** A name for a pack that nobody else makes. */
  newStem(): string
}

interface OpenPack {
  readonly stem: string
  readonly path: string
  readonly file: number
  /** Which file it is. While it is open, no other has its number. */
  readonly is: Pick<Stats, 'dev' | 'ino'>
  /** How much of it is safe; 0 for one whose name may not be. */
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
  /** The stem of one that is being made: its name may be there already. */
  #beginning: string | undefined
  #isBusy = false

  /**
   * @param path The folder's directory
   * @param idle Called when nobody waits any more
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

  /** How much of the pack is safe; undefined where it is not the one that is written to. */
  safeEnd(stem: string): number | undefined {
    if (this.#pack?.stem === stem) return this.#pack.end
    return this.#beginning === stem ? 0 : undefined
  }

  /** Resolves when the entries are safe, which they become together. Their bodies must not change until then. */
  append(...drafts: readonly Draft[]): Promise<void> {
    const appended = new Promise<void>((resolve, reject) => this.#waiting.push({ drafts, resolve, reject }))
    if (!this.#isBusy) void this.#run()
    return appended
  }

  /** Ends the pack: the next entry begins another. Nothing may be under way. */
  async close(): Promise<void> {
    const pack = this.#pack
    this.#pack = undefined
    // It was synced: what closing may complain of is not about what was promised.
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
    // A sweep is taking the pack. It would not take one that is as new as the next.
    if (await this.#write(drafts)) return
    throw new StorageError('unavailable', `two packs in ${this.#path} were removed while they were written to`)
  }

  /** Makes the entries safe. Answers false where a sweep is about to remove the pack. */
  async #write(drafts: readonly Draft[]): Promise<boolean> {
    const { disk, directories } = this.#deps
    const pack = await this.#open()
    try {
      const bytes = encodeAll(drafts, pack)
      await writeAll(disk, pack.file, bytes)
      const syncs = [disk.fsync(pack.file)]
      if (pack.end === 0) syncs.push(directories.sync(this.#path))
      // To the end of both: the file must not be closed beneath one of them.
      for (const sync of await Promise.allSettled(syncs)) if (sync.status === 'rejected') throw sync.reason
      if (!(await this.#hasOneName(pack))) {
        // It is safe here and will be in another pack: who deletes it there must not find it here again, after a power cut.
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

  /** Whether no sweep has begun to remove the pack, and the path still leads to it. */
  async #hasOneName({ path, is }: OpenPack): Promise<boolean> {
    try {
      // Not asked of the open file: between the two removals it has one name, but not this.
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
      // The directory was empty, and a sweep took it.
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

  /** Takes back what was not promised, as far as the disk lets it, and leaves the pack. */
  async #giveUp(pack: OpenPack): Promise<void> {
    const { disk } = this.#deps
    // Also where its name goes: in a file system that was unmounted, it can't be removed.
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
    if (written === 0) throw new StorageError('unavailable', 'the disk takes no more bytes')
    at += written
  }
}
