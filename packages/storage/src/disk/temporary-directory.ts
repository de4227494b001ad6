/**
 * A directory for files that are being written. It lies in the store, so it is on the same file system, and `link` can give its files
 * their names. A store of blobs has one, `.tmp`, which is never listed because no key begins with a dot.
 *
 * Names are unique across processes (pid, and random bytes for each start), so several processes may write into one store.
 */
import { randomBytes } from 'node:crypto'
import { constants, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { type Disk, isGone, systemCode } from './disk.ts'

const { O_CREAT, O_EXCL, O_WRONLY } = constants

export interface TemporaryDirectoryOptions {
  /** The beginning of all names. Nobody else uses it. Default: the pid, and random bytes. */
  readonly stem?: string
  /** Makes the directory. Called if it is missing. */
  makeDirectory(): Promise<void>
}

export class TemporaryDirectory {
  readonly directory: string
  readonly #disk: Disk
  readonly #stem: string
  readonly #makeDirectory: () => Promise<void>
  readonly #live = new Set<string>()
  #count = 0

  constructor(disk: Disk, directory: string, options: TemporaryDirectoryOptions) {
    this.#disk = disk
    this.directory = directory
    this.#stem = options.stem ?? `${process.pid}-${randomBytes(8).toString('hex')}`
    this.#makeDirectory = options.makeDirectory
  }

  /** Makes a path that nobody else uses. The caller ends with one `remove`. */
  path(): string {
    const path = join(this.directory, `${this.#stem}-${this.#count++}`)
    this.#live.add(path)
    return path
  }

  /** Creates the file for writing. */
  async create(path: string): Promise<number> {
    const flags = O_WRONLY | O_CREAT | O_EXCL
    try {
      return await this.#disk.open(path, flags, 0o600)
    } catch (error) {
      if (!isGone(error)) throw error
    }
    // The directory was removed, or the disk was too full to make it at the start.
    await this.#makeDirectory()
    return this.#disk.open(path, flags, 0o600)
  }

  /** Removes the file if it exists. If that fails, a sweep removes it later. */
  async remove(path: string): Promise<void> {
    try {
      await this.#disk.unlink(path)
    } catch {
      // The file is gone, or a sweep removes it.
    }
    this.#live.delete(path)
  }

  /** Removes files that this process is not writing, and that have not changed since `before` (milliseconds since 1970). */
  async sweep(before: number): Promise<number> {
    let removed = 0
    for (const entry of await this.#entries()) {
      const path = join(this.directory, entry.name)
      if (this.#live.has(path) || !entry.isFile()) continue
      try {
        if ((await this.#disk.lstat(path)).mtimeMs > before) continue
        await this.#disk.unlink(path)
        removed++
      } catch (error) {
        // Another process may have removed it.
        if (systemCode(error) !== 'ENOENT') throw error
      }
    }
    return removed
  }

  async #entries(): Promise<Dirent[]> {
    try {
      return await this.#disk.readdir(this.directory)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return []
      throw error
    }
  }
}
