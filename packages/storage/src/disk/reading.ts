/**
 * Reads files: a small one whole and at once, a large one in pieces. It bounds the number of large files that are read
 * at the same time.
 */
import type { Stats } from 'node:fs'
import { only } from '../blob/bytes-reader.ts'
import type { BlobReader } from '../blob/contract.ts'
import { StorageError } from '../blob/error.ts'
import { type Disk, diskError, HOLD_BYTES } from './disk.ts'
import type { Slots } from './slots.ts'

export class Reading {
  readonly #disk: Disk
  readonly #brief: Slots
  readonly #large: Slots

  /** @param large Slots for readers only, so that many slow senders do not block reading */
  constructor(disk: Disk, brief: Slots, large: Slots) {
    this.#disk = disk
    this.#brief = brief
    this.#large = large
  }

  /**
   * Reads the file that `open` opens. It opens a large file again when the caller iterates, so a reader that is not
   * used holds no file open.
   *
   * @throws StorageError
   */
  async read(name: string, open: () => Promise<number>): Promise<BlobReader> {
    try {
      const { size, whole } = await this.#brief.run(() => this.#begin(name, open))
      const body = whole === undefined ? this.#pieces(name, open) : only(whole)
      return { size, body, close: () => Promise.resolve() }
    } catch (error) {
      throw diskError(error, `can't read ${name}`)
    }
  }

  /** Returns the size of a file, and the bytes of a small one. */
  async #begin(name: string, open: () => Promise<number>): Promise<{ size: number; whole?: Uint8Array }> {
    const file = await open()
    try {
      const { size } = regular(await this.#disk.fstat(file), name)
      if (size > HOLD_BYTES) return { size }
      return { size, whole: await this.#fill(file, size) }
    } finally {
      await this.#disk.close(file)
    }
  }

  /** Reads the next bytes of the file. Returns fewer than asked for only at its end. */
  async #fill(file: number, byteLength: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(byteLength)
    let filled = 0
    while (filled < byteLength) {
      const got = await this.#disk.read(file, bytes, filled, byteLength - filled)
      if (got === 0) break
      filled += got
    }
    return bytes.subarray(0, filled)
  }

  async *#pieces(name: string, open: () => Promise<number>): AsyncGenerator<Uint8Array> {
    await this.#large.take()
    try {
      const file = await open()
      try {
        for (;;) {
          const bytes = await this.#fill(file, HOLD_BYTES)
          if (bytes.length > 0) yield bytes
          if (bytes.length < HOLD_BYTES) return
        }
      } finally {
        await this.#disk.close(file)
      }
    } catch (error) {
      throw diskError(error, `can't read ${name}`)
    } finally {
      this.#large.give()
    }
  }
}

/**
 * Returns the stats if they are those of a regular file.
 * @throws StorageError otherwise
 */
export function regular(stats: Stats, name: string): Stats {
  if (stats.isFile()) return stats
  throw stats.isSymbolicLink()
    ? new StorageError('denied', `${name} is a symbolic link`)
    : new StorageError('not-found', `${name} is not a file`)
}
