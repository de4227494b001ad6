/**
 * One blob on its way to the disk: temporary file, fsync, link, directory fsync.
 *
 * `link` and not `rename`, which would silently replace what another writer put there a moment ago: of two writers of
 * one key one has to hear `exists`, whatever process it is in. The price is one `unlink` of the temporary name, while
 * the directory syncs.
 *
 * A failed fsync is final: the kernel may have dropped the very pages it could not write, and the next fsync would
 * report success over the hole. The blob is given up then, and its writer told.
 */
import { dirname } from 'node:path'
import type { BlobWriter } from '../blob.ts'
import { StorageError } from '../error.ts'
import type { Directories } from './directories.ts'
import { type Disk, diskError, systemCode } from './disk.ts'
import type { Slots } from './slots.ts'
import type { Temporary } from './temporary.ts'

/**
 * A blob up to this size is held in memory until its commit, and then written at one go; larger ones are buffered by
 * it.
 */
export const HOLD_BYTES: number = 64 * 1024
const FIRST_BUFFER_BYTES = 4 * 1024

/** What the writers of one store share. */
export interface Workshop {
  readonly disk: Disk
  readonly directories: Directories
  readonly temporary: Temporary
  /** Held for as long as one large blob is being written. */
  readonly large: Slots
  /** Held for a moment. */
  readonly brief: Slots
}

export class FileWriter implements BlobWriter {
  readonly #shop: Workshop
  readonly #target: string
  readonly #announced: number | undefined
  #buffer: Uint8Array | undefined
  #buffered = 0
  #size = 0
  #path: string | undefined
  #file: number | undefined
  #holdsSlot = false
  #done = false
  /** What is under way; never rejects. `abort` must not close a file that is being written to. */
  #pending: Promise<unknown> = Promise.resolve()

  constructor(shop: Workshop, target: string, announced: number | undefined) {
    this.#shop = shop
    this.#target = target
    this.#announced = announced
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#done) throw this.#over()
    this.#size += bytes.length
    if (this.#buffered + bytes.length <= HOLD_BYTES) return this.#hold(bytes)
    return this.#follow(this.#spill(bytes))
  }

  async commit(): Promise<void> {
    if (this.#done) throw this.#over()
    this.#done = true
    await this.#follow(this.#commit())
  }

  async abort(): Promise<void> {
    this.#done = true
    await this.#pending
    await this.#drop()
  }

  #hold(bytes: Uint8Array): void {
    const needed = this.#buffered + bytes.length
    if (this.#buffer === undefined || this.#buffer.length < needed) {
      const expected = this.#file === undefined ? (this.#announced ?? 0) : HOLD_BYTES
      const doubled = Math.max(needed, expected, FIRST_BUFFER_BYTES, (this.#buffer?.length ?? 0) * 2)
      const larger = new Uint8Array(Math.max(needed, Math.min(doubled, HOLD_BYTES)))
      if (this.#buffer !== undefined) larger.set(this.#buffer.subarray(0, this.#buffered))
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#buffered)
    this.#buffered = needed
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    try {
      if (this.#path === undefined) {
        await this.#shop.large.take()
        this.#holdsSlot = true
        this.#path = this.#shop.temporary.path()
        this.#file = await this.#shop.temporary.create(this.#path)
      }
      await this.#flush()
      if (bytes.length < HOLD_BYTES) this.#hold(bytes)
      else await this.#writeAll(bytes)
    } catch (error) {
      this.#done = true
      await this.#drop()
      throw this.#failure(error)
    }
  }

  async #commit(): Promise<void> {
    const { brief, directories, disk } = this.#shop
    const directory = dirname(this.#target)
    let linked = false
    try {
      if (this.#announced !== undefined && this.#announced !== this.#size) {
        throw new StorageError('corrupt', `${this.#target}: ${this.#size} bytes came, not ${this.#announced}`)
      }
      if (this.#path === undefined) await brief.run(() => this.#writeSmall())
      else await this.#finish()
      await this.#link(directory)
      linked = true
      await Promise.all([directories.sync(directory), this.#drop()])
    } catch (error) {
      // A blob that may not survive must not be found: its writer is about to be told that there is none.
      if (linked) await disk.unlink(this.#target).catch(() => undefined)
      throw this.#failure(error)
    } finally {
      await this.#drop()
    }
  }

  async #writeSmall(): Promise<void> {
    this.#path = this.#shop.temporary.path()
    this.#file = await this.#shop.temporary.create(this.#path)
    await this.#finish()
  }

  /** What is still in memory, then fsync and close. */
  async #finish(): Promise<void> {
    await this.#flush()
    await this.#shop.disk.fsync(this.#file as number)
    await this.#close()
  }

  async #link(directory: string): Promise<void> {
    try {
      await this.#linkIn(directory)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
      // The directory was empty, and a sweep took it.
      this.#shop.directories.forget(directory)
      await this.#linkIn(directory)
    }
  }

  async #linkIn(directory: string): Promise<void> {
    await this.#shop.directories.ensure(directory)
    await this.#shop.disk.link(this.#path as string, this.#target)
  }

  async #flush(): Promise<void> {
    if (this.#buffer === undefined || this.#buffered === 0) return
    const bytes = this.#buffer.subarray(0, this.#buffered)
    this.#buffered = 0
    await this.#writeAll(bytes)
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const written = await this.#shop.disk.write(this.#file as number, bytes, at, bytes.length - at)
      if (written === 0) throw new StorageError('unavailable', `${this.#target}: the disk takes no more bytes`)
      at += written
    }
  }

  async #close(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    // Also when closing fails: the number may already be another file's.
    this.#file = undefined
    await this.#shop.disk.close(file)
  }

  /** Lets go of everything: memory, the file, its slot, the temporary name. Never rejects. */
  async #drop(): Promise<void> {
    this.#buffer = undefined
    this.#buffered = 0
    await this.#close().catch(() => undefined)
    if (this.#holdsSlot) {
      this.#holdsSlot = false
      this.#shop.large.give()
    }
    const path = this.#path
    if (path === undefined) return
    this.#path = undefined
    await this.#shop.temporary.remove(path)
  }

  #follow(work: Promise<void>): Promise<void> {
    this.#pending = work.catch(() => undefined)
    return work
  }

  #failure(error: unknown): StorageError {
    const failure = diskError(error, `can't write ${this.#target}`)
    // What is missing is a directory of ours: for who writes a blob, that is no `not-found`.
    return failure.code === 'not-found' ? new StorageError('unavailable', failure.message, { cause: error }) : failure
  }

  #over(): StorageError {
    return new StorageError('unavailable', `the writer of ${this.#target} is done`)
  }
}
