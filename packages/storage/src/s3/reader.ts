import type { BlobReader } from '../blob/contract.ts'
import { StorageError } from '../blob/error.ts'
import { connectionError } from './error.ts'
import type { HttpAnswer } from './transport.ts'

/** One object while it is read. */
export class S3Reader implements BlobReader {
  readonly size: number
  readonly body: AsyncIterable<Uint8Array>
  readonly #answer: HttpAnswer
  #isTaken = false

  /** @param isThere Whether the object is there still: some servers break off what is read while it is deleted */
  constructor(answer: HttpAnswer, size: number, what: string, isThere: () => Promise<boolean>) {
    this.size = size
    this.#answer = answer
    this.body = this.#pieces(what, isThere)
  }

  async close(): Promise<void> {
    if (this.#isTaken) return
    this.#isTaken = true
    this.#answer.discard()
  }

  async *#pieces(what: string, isThere: () => Promise<boolean>): AsyncGenerator<Uint8Array> {
    if (this.#isTaken) return
    this.#isTaken = true
    let left = this.size
    try {
      for await (const chunk of this.#answer.body) {
        left -= chunk.length
        if (chunk.length > 0) yield chunk
      }
      if (left !== 0)
        throw new StorageError('unavailable', `${what}: S3 sent ${this.size - left} bytes of ${this.size}`)
    } catch (error) {
      // Where that can't be told either, it may be.
      if (await isThere().catch(() => true)) throw connectionError(error, what)
      throw new StorageError('not-found', `${what}: it was deleted meanwhile`, { cause: error })
    } finally {
      if (left > 0) this.#answer.discard()
    }
  }
}
