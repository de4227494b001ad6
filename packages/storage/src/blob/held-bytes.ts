/**
 * Holds bytes in memory, in one buffer that grows and is used again. A small blob causes no call before its commit. A
 * large blob is handed on in pieces whose size suits its backend.
 */

export interface HeldBytesOptions {
  /** The greatest number of bytes that are held. */
  readonly maxBytes: number
  /** The size of the first buffer. */
  readonly firstBytes: number
  /** The number of all bytes, if the caller knows it. Then the buffer need not grow. */
  readonly expectedBytes: number | undefined
}

const NOTHING = new Uint8Array(0)

export class HeldBytes {
  readonly #maxBytes: number
  readonly #leastBytes: number
  #buffer: Uint8Array<ArrayBuffer> = NOTHING
  #length = 0

  constructor({ maxBytes, firstBytes, expectedBytes = 0 }: HeldBytesOptions) {
    this.#maxBytes = maxBytes
    this.#leastBytes = Math.max(firstBytes, expectedBytes)
  }

  /** A view of the held bytes. */
  get view(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length)
  }

  /** How many more bytes can be held. */
  get room(): number {
    return this.#maxBytes - this.#length
  }

  /** The size of the buffer. */
  get byteLength(): number {
    return this.#buffer.length
  }

  /** Returns the buffer size that this many more bytes need; undefined if the present buffer has room. */
  growth(byteLength: number): number | undefined {
    const needed = this.#length + byteLength
    if (needed <= this.#buffer.length) return undefined
    const wanted = Math.max(needed, this.#leastBytes, this.#buffer.length * 2)
    // Grows to the greatest size at once. More bytes are likely to come, and each replaced buffer is garbage.
    return wanted > this.#maxBytes / 4 ? this.#maxBytes : wanted
  }

  /** Adds a copy of the bytes. The caller has checked that there is room. */
  add(bytes: Uint8Array): void {
    const larger = this.growth(bytes.length)
    if (larger !== undefined) {
      const buffer = new Uint8Array(larger)
      buffer.set(this.view)
      this.#buffer = buffer
    }
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** Drops the bytes. Goes on with the same buffer, or with the given one. */
  empty(buffer: Uint8Array<ArrayBuffer> = this.#buffer): void {
    this.#buffer = buffer
    this.#length = 0
  }

  /** Drops the bytes and the buffer. */
  forget(): void {
    this.empty(NOTHING)
  }
}
