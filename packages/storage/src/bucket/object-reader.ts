/** Reads one object of a bucket. */
import type { BlobReader } from '../blob/contract.ts'
import { StorageError } from '../blob/error.ts'

/** An object that a server has begun to send. */
export interface SentObject {
  readonly size: number
  readonly body: AsyncIterable<Uint8Array>
  /** Drops the bytes that were not read. Never rejects. */
  discard(): void | Promise<void>
  /** Returns the error that a reader gets if reading the body fails. */
  failure(error: unknown): StorageError | Promise<StorageError>
}

export class ObjectReader implements BlobReader {
  readonly size: number
  readonly body: AsyncIterable<Uint8Array>
  readonly #object: SentObject
  #isTaken = false

  constructor(key: string, object: SentObject) {
    this.size = object.size
    this.#object = object
    this.body = this.#pieces(key)
  }

  async close(): Promise<void> {
    if (this.#isTaken) return
    this.#isTaken = true
    await this.#object.discard()
  }

  async *#pieces(key: string): AsyncGenerator<Uint8Array> {
    if (this.#isTaken) return
    this.#isTaken = true
    let left = this.size
    try {
      for await (const chunk of this.#object.body) {
        left -= chunk.length
        if (chunk.length > 0) yield chunk
      }
      if (left !== 0) {
        const sent = this.size - left
        throw new StorageError('unavailable', `can't read ${key}: the bucket sent ${sent} bytes of ${this.size}`)
      }
    } catch (error) {
      throw await this.#object.failure(error)
    } finally {
      // A body that was read to its end has nothing to drop.
      if (left > 0) await this.#object.discard()
    }
  }
}
