/** Keeps the bytes of a message that waits for its verdicts in a blob, where there is no disk. */
import type { BlobStore, BlobWriter } from '@postern/storage'
import type { Overflow } from './held.ts'

/**
 * Makes a function for `VerificationOptions.overflow`. Each message has a blob of its own for some moments. If the program is killed in
 * between, the blob stays: let the bucket remove old blobs of this prefix.
 * @param prefix In front of the names of blobs. Nothing else is below it
 */
export function blobOverflow(blobs: BlobStore, prefix: string = 'verification/'): () => Overflow {
  return () => new BlobOverflow(blobs, prefix + crypto.randomUUID())
}

class BlobOverflow implements Overflow {
  readonly #blobs: BlobStore
  readonly #key: string
  #writer: BlobWriter | undefined
  #isCommitted = false

  constructor(blobs: BlobStore, key: string) {
    this.#blobs = blobs
    this.#key = key
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#writer ??= this.#blobs.write(this.#key, { hasUniqueKey: true })
    await this.#writer.write(bytes)
  }

  async *read(): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#writer === undefined) return
    await this.#writer.commit()
    this.#isCommitted = true
    yield* (await this.#blobs.read(this.#key)).body
  }

  async close(): Promise<void> {
    await this.#writer?.abort()
    if (this.#isCommitted) await this.#blobs.delete(this.#key)
  }
}
