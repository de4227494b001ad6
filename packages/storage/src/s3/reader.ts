import type { BlobReader } from '../blob.ts'
import { StorageError } from '../error.ts'
import { connectionError } from './error.ts'
import type { HttpAnswer } from './transport.ts'

/** One object while it is read. */
export class S3Reader implements BlobReader {
  readonly size: number
  readonly body: AsyncIterable<Uint8Array>
  readonly #answer: HttpAnswer
  #isTaken = false

  constructor(answer: HttpAnswer, size: number, what: string) {
    this.size = size
    this.#answer = answer
    this.body = this.#pieces(what)
  }

  async close(): Promise<void> {
    if (this.#isTaken) return
    this.#isTaken = true
    this.#answer.discard()
  }

  async *#pieces(what: string): AsyncGenerator<Uint8Array> {
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
      throw connectionError(error, what)
    } finally {
      if (left > 0) this.#answer.discard()
    }
  }
}
