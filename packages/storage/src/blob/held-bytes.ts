/**
 * Bytes that are held in memory until there are enough of them: in one buffer, which grows, and is used again. So a small blob
 * makes no work before its commit, and a large one is handed on in pieces of a size that its backend likes.
 */

export interface HeldBytesOptions {
  /** How many are held at the most. */
  readonly maxBytes: number
  /** How large the buffer is at first. */
  readonly firstBytes: number
  /** How many there will be in all, where that is known: then the buffer need not grow. */
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

  /** What is held; a view. */
  get view(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(0, this.#length)
  }

  /** How many more can be held. */
  get room(): number {
    return this.#maxBytes - this.#length
  }

  /** How much memory it takes. */
  get byteLength(): number {
    return this.#buffer.length
  }

  /** How large a buffer it takes to hold so many more; undefined where the one that is there will do. */
  growth(byteLength: number): number | undefined {
    const needed = this.#length + byteLength
    if (needed <= this.#buffer.length) return undefined
    const wanted = Math.max(needed, this.#leastBytes, this.#buffer.length * 2)
    // What has come so far will most likely go on: every buffer that is left behind is garbage for a while.
    return wanted > this.#maxBytes / 4 ? this.#maxBytes : wanted
  }

  /** Adds a copy of bytes that there is room for. */
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

  /** Holds nothing any more, and uses its buffer again, or another in its place. */
  empty(buffer: Uint8Array<ArrayBuffer> = this.#buffer): void {
    this.#buffer = buffer
    this.#length = 0
  }

  /** Lets go of the buffer too. */
  forget(): void {
    this.empty(NOTHING)
  }
}
