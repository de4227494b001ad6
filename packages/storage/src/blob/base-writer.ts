/** What writers of blobs have in common: from the first byte to a commit or an abort, and to one end only. */
import type { BlobWriter } from './contract.ts'
import { StorageError } from './error.ts'

/** A writer's life. A backend says what becomes of the bytes. */
export abstract class BaseWriter implements BlobWriter {
  /** What messages call the blob. */
  protected readonly name: string
  readonly #announced: number | undefined
  #size = 0
  #isDone = false
  /** What is under way, or was. What `drop` lets go of must not be in use. */
  #pending: Promise<void> | undefined

  /** @param announced How many bytes are to come, where that is known */
  constructor(name: string, announced: number | undefined) {
    this.name = name
    this.#announced = announced
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#isDone) throw this.over()
    this.#size += bytes.length
    let taken: void | Promise<void>
    try {
      taken = this.take(bytes)
    } catch (error) {
      // A commit now would be of less than was written.
      this.#isDone = true
      throw this.failure(error)
    }
    if (taken === undefined) return
    this.#pending = this.#taken(taken)
    // Who gives up in the middle need not have heard of it.
    this.#pending.catch(() => undefined)
    return this.#pending
  }

  commit(): Promise<void> {
    if (this.#isDone) return Promise.reject(this.over())
    this.#isDone = true
    return (this.#pending = this.#commit())
  }

  async abort(): Promise<void> {
    this.#isDone = true
    this.hasten()
    await this.#pending?.catch(() => undefined)
    await this.drop()
  }

  /** Takes bytes, and copies what it keeps of them. After a failure there is nothing left to write. */
  protected abstract take(bytes: Uint8Array): void | Promise<void>
  /** Makes the blob appear. */
  protected abstract finish(): Promise<void>
  /** Lets go of everything that is not a blob. Called in the end, however it ends, and maybe more than once; never rejects. */
  protected abstract drop(): void | Promise<void>
  /** The backend's error as one of ours. */
  protected abstract failure(error: unknown): StorageError
  /** An abort waits for what is under way: it need not be done any more. */
  protected hasten(): void {}

  /** How many bytes have come. */
  protected get size(): number {
    return this.#size
  }

  /** Whether it was ended: maybe by an abort, while something was under way. */
  protected get isDone(): boolean {
    return this.#isDone
  }

  protected over(): StorageError {
    return new StorageError('unavailable', `the writer of ${this.name} is done`)
  }

  async #taken(taken: Promise<void>): Promise<void> {
    try {
      await taken
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
      const dropped = this.drop()
      if (dropped !== undefined) await dropped
    }
  }
}
