/**
 * Takes the bytes of a file that has no final name yet. It holds few bytes in memory, and writes larger numbers to a
 * temporary file. `finish` writes and syncs all bytes.
 *
 * A failed fsync is final: the kernel may have dropped the pages that it could not write, and the next fsync would
 * report success without them. So the file is dropped, and its writer gets the error.
 */
import { StorageError } from '../blob/error.ts'
import { HeldBytes } from '../blob/held-bytes.ts'
import type { DiskDeps } from './deps.ts'
import { HOLD_BYTES } from './disk.ts'
import type { TemporaryDirectory } from './temporary-directory.ts'

const FIRST_BUFFER_BYTES = 4 * 1024

/** One file that is being written. The caller ends with `drop`, also after an error. */
export class TemporaryFile {
  readonly #deps: DiskDeps
  readonly #temporary: TemporaryDirectory
  /** Its final name, for error messages. */
  readonly #target: string
  readonly #held: HeldBytes
  #size = 0
  #path: string | undefined
  #file: number | undefined
  #holdsSlot = false

  /** @param expectedBytes The number of bytes to come, if the caller knows it */
  constructor(deps: DiskDeps, temporary: TemporaryDirectory, target: string, expectedBytes?: number) {
    this.#deps = deps
    this.#temporary = temporary
    this.#target = target
    this.#held = new HeldBytes({ maxBytes: HOLD_BYTES, firstBytes: FIRST_BUFFER_BYTES, expectedBytes })
  }

  /** The number of bytes so far. */
  get size(): number {
    return this.#size
  }

  /** True if the file is large and holds a slot for large files. */
  get holdsSlot(): boolean {
    return this.#holdsSlot
  }

  /** Takes bytes, and copies those that it keeps. */
  write(bytes: Uint8Array): void | Promise<void> {
    this.#size += bytes.length
    if (bytes.length <= this.#held.room) return this.#held.add(bytes)
    return this.#spill(bytes)
  }

  /** Syncs the bytes. Returns the path of the file that holds them until `drop`. */
  async finish(): Promise<string> {
    if (this.#path === undefined) await this.#deps.brief.run(() => this.#writeSmall())
    else await this.#sync()
    return this.#path as unknown as string
  }

  /** Frees the memory, the file, its slot and the temporary name. Never rejects. */
  async drop(): Promise<void> {
    this.#held.forget()
    await this.#close().catch(() => undefined)
    if (this.#holdsSlot) {
      this.#holdsSlot = false
      this.#deps.large.give()
    }
    const path = this.#path
    if (path === undefined) return
    this.#path = undefined
    await this.#temporary.remove(path)
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    if (this.#path === undefined) {
      await this.#deps.large.take()
      this.#holdsSlot = true
      await this.#create()
    }
    await this.#flush()
    if (bytes.length < HOLD_BYTES) this.#held.add(bytes)
    else await this.#writeAll(bytes)
  }

  async #writeSmall(): Promise<void> {
    await this.#create()
    await this.#sync()
  }

  async #create(): Promise<void> {
    this.#path = this.#temporary.path()
    this.#file = await this.#temporary.create(this.#path)
  }

  /** Writes the bytes that are still in memory, then syncs and closes the file. */
  async #sync(): Promise<void> {
    await this.#flush()
    await this.#deps.disk.fsync(this.#file as number)
    await this.#close()
  }

  async #flush(): Promise<void> {
    const bytes = this.#held.view
    this.#held.empty()
    await this.#writeAll(bytes)
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const written = await this.#deps.disk.write(this.#file as number, bytes, at, bytes.length - at)
      if (written === 0) throw new StorageError('unavailable', `${this.#target}: the disk accepts no more bytes`)
      at += written
    }
  }

  async #close(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    // Forgets the number even if closing fails, because it may already belong to another file.
    this.#file = undefined
    await this.#deps.disk.close(file)
  }
}
