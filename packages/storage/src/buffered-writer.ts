/**
 * What writers of blobs have in common: small pieces gather in one buffer, and only what outgrows it makes work. So a
 * small blob costs nothing before its commit, and a large one is handed on in pieces of a size that its backend likes.
 */
import type { BlobWriter } from './blob.ts'
import { StorageError } from './error.ts'

export interface BufferedWriterOptions {
  /** What messages call the blob. */
  readonly name: string
  /** How many bytes are held in memory at the most. */
  readonly holdBytes: number
  /** How large the buffer is at first. */
  readonly firstBytes: number
  /** How many bytes were announced. */
  readonly size: number | undefined
}

const NOTHING = new Uint8Array(0)

/** A writer that holds up to so many bytes. A backend says what becomes of them. */
export abstract class BufferedWriter implements BlobWriter {
  protected readonly name: string
  readonly #holdBytes: number
  readonly #firstBytes: number
  readonly #announced: number | undefined
  #buffer: Uint8Array<ArrayBuffer> = NOTHING
  #buffered = 0
  #size = 0
  #isDone = false
  /** What is under way; never rejects. What `drop` lets go of must not be in use. */
  #pending: Promise<unknown> = Promise.resolve()

  constructor({ name, holdBytes, firstBytes, size }: BufferedWriterOptions) {
    this.name = name
    this.#holdBytes = holdBytes
    this.#firstBytes = firstBytes
    this.#announced = size
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#isDone) throw this.over()
    this.#size += bytes.length
    if (this.#buffered + bytes.length <= this.#holdBytes) return this.hold(bytes)
    return this.#follow(this.#spill(bytes))
  }

  async commit(): Promise<void> {
    if (this.#isDone) throw this.over()
    this.#isDone = true
    await this.#follow(this.#commit())
  }

  async abort(): Promise<void> {
    this.#isDone = true
    this.hasten()
    await this.#pending
    await this.drop()
  }

  /** Takes bytes that the buffer has no room for: at least one more than that. */
  protected abstract spill(bytes: Uint8Array): Promise<void>
  /** Makes the blob appear: what was spilled, and behind it what is still held. */
  protected abstract finish(): Promise<void>
  /**
   * Lets go of everything that is not a blob yet, with `forget` of the buffer. Called in the end, however it ends, and
   * maybe more than once; never rejects.
   */
  protected abstract drop(): Promise<void>
  /** An abort waits for what is under way: it need not be done any more. */
  protected hasten(): void {}
  /** The backend's error as one of ours. */
  protected abstract failure(error: unknown): StorageError

  /** How many bytes have come. */
  protected get size(): number {
    return this.#size
  }

  /** What is in the buffer; a view. */
  protected get held(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#buffered)
  }

  /** How many bytes more can be held. */
  protected get room(): number {
    return this.#holdBytes - this.#buffered
  }

  /** Whether the writer was ended: by an abort, while something was under way. */
  protected get isDone(): boolean {
    return this.#isDone
  }

  /** Adds bytes that there is room for. */
  protected hold(bytes: Uint8Array): void {
    const needed = this.#buffered + bytes.length
    if (this.#buffer.length < needed) {
      const wanted = Math.max(needed, this.#announced ?? 0, this.#firstBytes, this.#buffer.length * 2)
      const larger = this.allocate(Math.min(wanted, this.#holdBytes))
      larger.set(this.held)
      const smaller = this.#buffer
      this.#buffer = larger
      this.release(smaller.length)
    }
    this.#buffer.set(bytes, this.#buffered)
    this.#buffered = needed
  }

  /** Empties the buffer, which is used again; or goes on with another in its place. */
  protected empty(other: Uint8Array<ArrayBuffer> = this.#buffer): void {
    this.#buffer = other
    this.#buffered = 0
  }

  /** Lets go of the buffer. */
  protected forget(): void {
    const { length } = this.#buffer
    this.empty(NOTHING)
    if (length > 0) this.release(length)
  }

  /** Makes a buffer. A backend whose writers share a bound overrides it, and throws `no-space`. */
  protected allocate(byteLength: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(byteLength)
  }

  /** Told of a buffer that is no longer used. */
  protected release(_byteLength: number): void {}

  protected over(): StorageError {
    return new StorageError('unavailable', `the writer of ${this.name} is done`)
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    try {
      await this.spill(bytes)
    } catch (error) {
      this.#isDone = true
      await this.drop()
      throw this.failure(error)
    }
  }

  async #commit(): Promise<void> {
    try {
      if (this.#announced !== undefined && this.#announced !== this.#size) {
        throw new StorageError('corrupt', `${this.name}: ${this.#size} bytes came, not ${this.#announced}`)
      }
      await this.finish()
    } catch (error) {
      throw this.failure(error)
    } finally {
      await this.drop()
    }
  }

  #follow(work: Promise<void>): Promise<void> {
    this.#pending = work.catch(() => undefined)
    return work
  }
}
