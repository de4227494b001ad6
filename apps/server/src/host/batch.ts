/** Joins many small chunks, so that each write to the operating system is worth its price. */
const BATCH_BYTES = 64 * 1024

export class Batch {
  /** It has done with the bytes once its promise resolves, because they are overwritten then. */
  readonly #write: (bytes: Uint8Array) => Promise<void>
  readonly #bytes = Buffer.allocUnsafe(BATCH_BYTES)
  #length = 0

  constructor(write: (bytes: Uint8Array) => Promise<void>) {
    this.#write = write
  }

  /** The caller may use the chunk again once the promise resolves. */
  async add(chunk: string | Uint8Array): Promise<void> {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (this.#length + bytes.length > BATCH_BYTES) await this.flush()
    if (bytes.length > BATCH_BYTES) return this.#write(bytes)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  async flush(): Promise<void> {
    const bytes = this.#bytes.subarray(0, this.#length)
    if (bytes.length > 0) await this.#write(bytes)
    this.#length = 0
  }
}
