import { Buffer } from 'node:buffer'
import { createHash, hash, type Hash } from 'node:crypto'

const ALGORITHM = 'sha256'
/** Up to this many bytes are digested at once at the end. For few bytes, making a Hash object costs more than hashing. */
const SMALL_BYTES = 2 * 1024

/** Counts bytes, and computes their digest. */
export class Digest {
  #small: Buffer | undefined
  #hash: Hash | undefined
  #size = 0

  update(bytes: Uint8Array): void {
    const at = this.#size
    this.#size += bytes.length
    if (this.#size <= SMALL_BYTES) {
      const small = (this.#small ??= Buffer.allocUnsafe(SMALL_BYTES))
      small.set(bytes, at)
      return
    }
    if (this.#hash === undefined) {
      this.#hash = createHash(ALGORITHM)
      if (this.#small !== undefined) this.#hash.update(this.#small.subarray(0, at))
      this.#small = undefined
    }
    this.#hash.update(bytes)
  }

  get size(): number {
    return this.#size
  }

  /** Returns the SHA-256 in lower-case hexadecimal. Called once. */
  finish(): string {
    if (this.#hash !== undefined) return this.#hash.digest('hex')
    return hash(ALGORITHM, this.#small?.subarray(0, this.#size) ?? '', 'hex')
  }
}
