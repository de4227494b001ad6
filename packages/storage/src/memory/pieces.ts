/** Holds the bytes of a blob in pieces, which it fills one after another. So a blob that grows is never copied as a whole. */

const MIN_PIECE_BYTES = 2 * 1024
const MAX_PIECE_BYTES = 64 * 1024

export class Pieces {
  readonly #pieces: Uint8Array[] = []
  readonly #firstBytes: number
  #byteLength = 0
  /** The last piece, which is being filled. */
  #last: Uint8Array = new Uint8Array(0)
  #lastLength = 0

  /** @param announced The number of bytes to come, if the caller knows it */
  constructor(announced: number | undefined) {
    this.#firstBytes = Math.min(announced ?? MIN_PIECE_BYTES, MAX_PIECE_BYTES)
  }

  get byteLength(): number {
    return this.#byteLength
  }

  /** Adds a copy of the bytes. */
  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#lastLength === this.#last.length) this.#begin()
      const end = Math.min(bytes.length, at + this.#last.length - this.#lastLength)
      this.#last.set(bytes.subarray(at, end), this.#lastLength)
      this.#lastLength += end - at
      this.#byteLength += end - at
      at = end
    }
  }

  /** Replaces the last piece by a copy without unused memory. Called when no more bytes come. */
  trim(): void {
    if (this.#lastLength === this.#last.length) return
    this.#last = this.#last.slice(0, this.#lastLength)
    this.#pieces[this.#pieces.length - 1] = this.#last
  }

  /** Yields copies, because a reader may change what it gets. Called after `trim`. */
  async *copies(): AsyncGenerator<Uint8Array> {
    for (const piece of this.#pieces) yield piece.slice()
  }

  /**
   * Begins a piece. It is as large as all pieces before it, within bounds. So a small blob takes little memory, and a large
   * blob has few pieces.
   */
  #begin(): void {
    const wanted = this.#byteLength === 0 ? this.#firstBytes : Math.max(this.#byteLength, MIN_PIECE_BYTES)
    this.#last = new Uint8Array(Math.max(1, Math.min(wanted, MAX_PIECE_BYTES)))
    this.#lastLength = 0
    this.#pieces.push(this.#last)
  }
}
