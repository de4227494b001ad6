import { createHash, type Hash } from 'node:crypto'

/** Counts and digests bytes as they pass. */
export class Digest {
  readonly #hash: Hash = createHash('sha256')
  #size = 0

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#size += bytes.length
  }

  get size(): number {
    return this.#size
  }

  /** SHA-256, lower-case hexadecimal. Once. */
  finish(): string {
    return this.#hash.digest('hex')
  }
}
