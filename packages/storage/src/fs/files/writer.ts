/**
 * One blob on its way to the disk: temporary file, fsync, link, directory fsync.
 *
 * `link` and not `rename`, which would silently replace what another writer put there a moment ago: of two writers of
 * one key one has to hear `exists`, whatever process it is in. The price is one `unlink` of the temporary name, while
 * the directory syncs.
 */
import { dirname } from 'node:path'
import { BaseWriter } from '../../blob/base-writer.ts'
import { StorageError } from '../../blob/error.ts'
import type { DiskDeps } from '../../disk/deps.ts'
import type { Directories } from '../../disk/directories.ts'
import { diskError, isGone, systemCode } from '../../disk/disk.ts'
import type { TemporaryDirectory } from '../../disk/temporary-directory.ts'
import { TemporaryFile } from '../../disk/temporary-file.ts'

/** What the writers of one store share, and its readers. */
export interface FileStoreDeps extends DiskDeps {
  readonly directories: Directories
  readonly temporary: TemporaryDirectory
}

export class FileWriter extends BaseWriter {
  readonly #deps: FileStoreDeps
  readonly #file: TemporaryFile
  readonly #check: (() => Promise<void>) | undefined

  /** @param check Called before the blob appears: what it throws, the commit throws. */
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
      // A blob that may not survive must not be found: its writer is about to be told that there is none.
      if (linked) await disk.unlink(this.name).catch(() => undefined)
      throw error
    }
  }

  protected override drop(): Promise<void> {
    return this.#file.drop()
  }

  protected override failure(error: unknown): StorageError {
    const failure = diskError(error, `can't write ${this.name}`)
    // What is missing is a directory of ours: for who writes a blob, that is no `not-found`.
    return failure.code === 'not-found' ? new StorageError('unavailable', failure.message, { cause: error }) : failure
  }

  async #link(path: string, directory: string): Promise<void> {
    const { directories } = this.#deps
    try {
      await this.#linkIn(path, directory)
    } catch (error) {
      // Who hears that there is a blob already relies on it, and its writer may have been killed before the sync.
      if (systemCode(error) === 'EEXIST') await directories.sync(directory)
      if (!isGone(error)) throw error
      // The directory was empty, and a sweep took it.
      directories.forget(directory)
      await this.#linkIn(path, directory)
    }
  }

  async #linkIn(path: string, directory: string): Promise<void> {
    await this.#deps.directories.ensure(directory)
    await this.#deps.disk.link(path, this.name)
  }
}
