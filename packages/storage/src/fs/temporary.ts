/**
 * The directory of files that are being written. Its name begins with a dot, as no key does, so it is never listed; it
 * lies in the store, so it is on the same file system and a file can be given its key as a name.
 *
 * Names are unique across processes (pid, and random bytes for each start), so several may write into one store.
 */
import { randomBytes } from 'node:crypto'
import { constants, type Dirent } from 'node:fs'
import { join } from 'node:path'
import { type Disk, systemCode } from './disk.ts'

const { O_CREAT, O_EXCL, O_WRONLY } = constants

export class Temporary {
  readonly directory: string
  readonly #disk: Disk
  readonly #start: string = `${process.pid}-${randomBytes(8).toString('hex')}`
  readonly #live = new Set<string>()
  #count = 0

  constructor(disk: Disk, root: string) {
    this.#disk = disk
    this.directory = join(root, '.tmp')
  }

  /** A path that nobody else has. Owed one `remove`. */
  path(): string {
    const path = join(this.directory, `${this.#start}-${this.#count++}`)
    this.#live.add(path)
    return path
  }

  /** Makes the file, for writing. */
  async create(path: string): Promise<number> {
    const flags = O_WRONLY | O_CREAT | O_EXCL
    try {
      return await this.#disk.open(path, flags, 0o600)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
    }
    // Somebody tidied the directory away, or the disk was too full to make it at the start.
    await this.#disk.mkdir(this.directory, 0o700).catch(() => undefined)
    return this.#disk.open(path, flags, 0o600)
  }

  /** Removes the file, where it exists. What can't be removed now is swept later. */
  async remove(path: string): Promise<void> {
    try {
      await this.#disk.unlink(path)
    } catch {
      // Gone already, or left for the sweep.
    }
    this.#live.delete(path)
  }

  /** Removes what nobody here is writing and nobody anywhere has touched since `before` (milliseconds since 1970). */
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
        // Another process may be quicker.
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
