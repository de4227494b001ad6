/**
 * A writer that hands a blob on in pieces of one size. What fits one piece is held until the commit; all writers of a store
 * share an {@link Allowance} of memory.
 */
import type { Allowance, Share } from './allowance.ts'
import { BaseWriter } from './base-writer.ts'
import { HeldBytes } from './held-bytes.ts'

const FIRST_BUFFER_BYTES = 64 * 1024

export interface BufferedWriterOptions {
  /** What messages call the blob. */
  readonly name: string
  /** How many bytes were announced. */
  readonly size: number | undefined
  /** How large a piece is. */
  readonly pieceBytes: number
  readonly allowance: Allowance
}

export abstract class BufferedWriter extends BaseWriter {
  protected readonly held: HeldBytes
  protected readonly share: Share

  constructor({ name, size, pieceBytes, allowance }: BufferedWriterOptions) {
    super(name, size)
    this.held = new HeldBytes({ maxBytes: pieceBytes, firstBytes: FIRST_BUFFER_BYTES, expectedBytes: size })
    this.share = allowance.share(this)
  }

  protected override take(bytes: Uint8Array): void | Promise<void> {
    if (bytes.length <= this.held.room) return this.#hold(bytes)
    return this.#spill(bytes)
  }

  /** Hands a whole piece on, more bytes having come, and empties what is held. */
  protected abstract handOn(): Promise<void>

  protected override async drop(): Promise<void> {
    this.held.forget()
    this.share.give()
  }

  #hold(bytes: Uint8Array): void {
    const larger = this.held.growth(bytes.length)
    const smaller = this.held.byteLength
    // For a moment there are both.
    if (larger !== undefined) this.share.take(larger)
    this.held.add(bytes)
    if (larger !== undefined) this.share.give(smaller)
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.held.room === 0) await this.handOn()
      // An abort while the piece was on its way.
      if (this.isDone) throw this.over()
      const end = Math.min(bytes.length, at + this.held.room)
      this.#hold(bytes.subarray(at, end))
      at = end
    }
  }
}
