/**
 * One blob on its way to the disk: temporary file, fsync, link, directory fsync.
 *
 * `link` and not `rename`, which would silently replace what another writer put there a moment ago: of two writers of
 * one key one has to hear `exists`, whatever process it is in. The price is one `unlink` of the temporary name, while
 * the directory syncs.
 */
import { dirname } from 'node:path'
import type { BlobWriter } from '../blob.ts'
import { StorageError } from '../error.ts'
import type { Directories } from './directories.ts'
import { diskError, systemCode } from './disk.ts'
import type { Temporary } from './temporary.ts'
import { type Bench, TemporaryFile } from './temporary-file.ts'

/** What the writers of one store share. */
export interface Workshop extends Bench {
  readonly directories: Directories
  readonly temporary: Temporary
}

export class FileWriter implements BlobWriter {
  readonly #shop: Workshop
  readonly #target: string
  readonly #file: TemporaryFile
  #done = false
  /** What is under way; never rejects. `abort` must not close a file that is being written to. */
  #pending: Promise<unknown> = Promise.resolve()

  constructor(shop: Workshop, target: string, announced: number | undefined) {
    this.#shop = shop
    this.#target = target
    this.#file = new TemporaryFile(shop, shop.temporary, target, announced)
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#done) throw this.#over()
    const written = this.#file.write(bytes)
    if (written !== undefined) return this.#follow(this.#written(written))
  }

  async commit(): Promise<void> {
    if (this.#done) throw this.#over()
    this.#done = true
    await this.#follow(this.#commit())
  }

  async abort(): Promise<void> {
    this.#done = true
    await this.#pending
    await this.#file.drop()
  }

  async #written(written: Promise<void>): Promise<void> {
    try {
      await written
    } catch (error) {
      this.#done = true
      await this.#file.drop()
      throw this.#failure(error)
    }
  }

  async #commit(): Promise<void> {
    const { directories, disk } = this.#shop
    const directory = dirname(this.#target)
    let linked = false
    try {
      const path = await this.#file.finish()
      await this.#link(path, directory)
      linked = true
      await Promise.all([directories.sync(directory), this.#file.drop()])
    } catch (error) {
      // A blob that may not survive must not be found: its writer is about to be told that there is none.
      if (linked) await disk.unlink(this.#target).catch(() => undefined)
      throw this.#failure(error)
    } finally {
      await this.#file.drop()
    }
  }

  async #link(path: string, directory: string): Promise<void> {
    const { directories } = this.#shop
    try {
      await this.#linkIn(path, directory)
    } catch (error) {
      // Who hears that there is a blob already relies on it, and its writer may have been killed before the sync.
      if (systemCode(error) === 'EEXIST') await directories.sync(directory)
      if (systemCode(error) !== 'ENOENT') throw error
      // The directory was empty, and a sweep took it.
      directories.forget(directory)
      await this.#linkIn(path, directory)
    }
  }

  async #linkIn(path: string, directory: string): Promise<void> {
    await this.#shop.directories.ensure(directory)
    await this.#shop.disk.link(path, this.#target)
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
