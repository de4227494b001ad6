/** What all writers of blobs share: a writer takes bytes, and then ends once, with a commit or an abort. */
import type { BlobWriter } from './contract.ts'
import { StorageError } from './error.ts'

/** The life of a writer. A backend decides what happens to the bytes. */
export abstract class BaseWriter implements BlobWriter {
  /** The blob's name in error messages. */
  protected readonly name: string
  readonly #announced: number | undefined
  #size = 0
  #isDone = false
  /** The work that is running, or that ran last. `abort` waits for it, so that `drop` frees nothing that is in use. */
  #pending: Promise<void> | undefined

  /** @param announced The number of bytes to come, if the caller knows it */
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
      // A commit now would lack these bytes.
      this.#isDone = true
      throw this.failure(error)
    }
    if (taken === undefined) return
    this.#pending = this.#taken(taken)
    // A caller that aborts need not have waited for this promise.
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

  /** Takes bytes, and copies those that it keeps. After a failure the writer has ended. */
  protected abstract take(bytes: Uint8Array): void | Promise<void>
  /** Makes the blob visible. */
  protected abstract finish(): Promise<void>
  /** Frees everything that is not a blob. Called at every end of the writer, possibly more than once. Never rejects. */
  protected abstract drop(): void | Promise<void>
  /** Turns the backend's error into a StorageError. */
  protected abstract failure(error: unknown): StorageError
  /** Called by an abort, which waits for the running work. That work may stop early. */
  protected hasten(): void {}

  /** The number of bytes so far. */
  protected get size(): number {
    return this.#size
  }

  /** True if the writer has ended. An abort may end it while work is running. */
  protected get isDone(): boolean {
    return this.#isDone
  }

  protected over(): StorageError {
    return new StorageError('unavailable', `the writer of ${this.name} has ended`)
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
