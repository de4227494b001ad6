/**
 * Writes one blob to the disk: temporary file, fsync, link, fsync of the directory.
 *
 * It uses `link` and not `rename`, which would replace the blob of another writer without an error. If two writers use
 * one key, one of them must get `exists`, even if they are in different processes. `link` costs one `unlink` of the
 * temporary name, which runs while the directory syncs.
 */
import { dirname } from 'node:path'
import { BaseWriter } from '../../blob/base-writer.ts'
import { StorageError } from '../../blob/error.ts'
import type { DiskDeps } from '../../disk/deps.ts'
import type { Directories } from '../../disk/directories.ts'
import { diskError, isGone, systemCode } from '../../disk/disk.ts'
import type { TemporaryDirectory } from '../../disk/temporary-directory.ts'
import { TemporaryFile } from '../../disk/temporary-file.ts'

/** What all writers and readers of one store share. */
export interface FileStoreDeps extends DiskDeps {
  readonly directories: Directories
  readonly temporary: TemporaryDirectory
}

export class FileWriter extends BaseWriter {
  readonly #deps: FileStoreDeps
  readonly #file: TemporaryFile
  readonly #check: (() => Promise<void>) | undefined

  /** @param check Called before the blob gets its name. If it throws, the commit throws the same error */
  constructor(deps: FileStoreDeps, target: string, announced: number | undefined, check?: () => Promise<void>) {
    super(target, announced)
    this.#deps = deps
    this.#check = check
    this.#file = new TemporaryFile(deps, deps.temporary, target, announced)
  }

  protected override take(bytes: Uint8Array): void | Promise<void> {
    return this.#file.write(bytes)
  }

  protected override async finish(): Promise<void> {
    const { directories, disk } = this.#deps
    const directory = dirname(this.name)
    let linked = false
    try {
      const path = await this.#file.finish()
      await this.#check?.()
      await this.#link(path, directory)
      linked = true
      await Promise.all([directories.sync(directory), this.#file.drop()])
    } catch (error) {
      // Removes a blob that may not be durable, because its writer gets an error now.
      if (linked) await disk.unlink(this.name).catch(() => undefined)
      throw error
    }
  }

  protected override drop(): Promise<void> {
    return this.#file.drop()
  }

  protected override failure(error: unknown): StorageError {
    const failure = diskError(error, `can't write ${this.name}`)
    // A missing directory is our fault, so the writer gets `unavailable`, not `not-found`.
    return failure.code === 'not-found' ? new StorageError('unavailable', failure.message, { cause: error }) : failure
  }

  async #link(path: string, directory: string): Promise<void> {
    const { directories } = this.#deps
    try {
      await this.#linkIn(path, directory)
    } catch (error) {
      // The caller relies on the blob that exists, and the process that wrote it may have died before the sync.
      if (systemCode(error) === 'EEXIST') await directories.sync(directory)
      if (!isGone(error)) throw error
      // A sweep removed the directory while it was empty.
      directories.forget(directory)
      await this.#linkIn(path, directory)
    }
  }

  async #linkIn(path: string, directory: string): Promise<void> {
    await this.#deps.directories.ensure(directory)
    await this.#deps.disk.link(path, this.name)
  }
}
