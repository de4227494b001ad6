/**
 * Bytes on their way to the disk, as long as they have no name that anybody looks for: held in memory while they are few, in a
 * temporary file once they are many, or once they have to be safe.
 *
 * A failed fsync is final: the kernel may have dropped the very pages it could not write, and the next fsync would
 * report success over the hole. The file is given up then, and its writer told.
 */
import { StorageError } from '../blob/error.ts'
import { HeldBytes } from '../blob/held-bytes.ts'
import type { DiskDeps } from './deps.ts'
import { HOLD_BYTES } from './disk.ts'
import type { TemporaryDirectory } from './temporary-directory.ts'

const FIRST_BUFFER_BYTES = 4 * 1024

/** One file that is being written. Whatever fails, `drop` is owed. */
export class TemporaryFile {
  readonly #deps: DiskDeps
  readonly #temporary: TemporaryDirectory
  /** What it is to become, for messages. */
  readonly #target: string
  readonly #held: HeldBytes
  #size = 0
  #path: string | undefined
  #file: number | undefined
  #holdsSlot = false

  /** @param expectedBytes How many bytes there will be, where that is known */
  constructor(deps: DiskDeps, temporary: TemporaryDirectory, target: string, expectedBytes?: number) {
    this.#deps = deps
    this.#temporary = temporary
    this.#target = target
    this.#held = new HeldBytes({ maxBytes: HOLD_BYTES, firstBytes: FIRST_BUFFER_BYTES, expectedBytes })
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size
  }

  /** Whether it is a large one, and has a slot of those. */
  get holdsSlot(): boolean {
    return this.#holdsSlot
  }

  /** Takes the bytes, and copies what it keeps of them. */
  write(bytes: Uint8Array): void | Promise<void> {
    this.#size += bytes.length
    if (bytes.length <= this.#held.room) return this.#held.add(bytes)
    return this.#spill(bytes)
  }

  /** Makes the bytes safe. Answers the path of the file that holds them, until `drop`. */
  async finish(): Promise<string> {
    if (this.#path === undefined) await this.#deps.brief.run(() => this.#writeSmall())
    else await this.#sync()
    return this.#path as unknown as string
  }

  /** Lets go of everything: memory, the file, its slot, the temporary name. Never rejects. */
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

  /** What is still in memory, then fsync and close. */
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
      if (written === 0) throw new StorageError('unavailable', `${this.#target}: the disk takes no more bytes`)
      at += written
    }
  }

  async #close(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    // Also when closing fails: the number may already be another file's.
    this.#file = undefined
    await this.#deps.disk.close(file)
  }
}
