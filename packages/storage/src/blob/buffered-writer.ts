/**
 * A writer that hands a blob on in pieces of one size. It holds a blob that fits into one piece until the commit. All writers of a
 * store share an {@link Allowance} of memory.
 */
import type { Allowance, Share } from './allowance.ts'
import { BaseWriter } from './base-writer.ts'
import { HeldBytes } from './held-bytes.ts'

const FIRST_BUFFER_BYTES = 64 * 1024

export interface BufferedWriterOptions {
  /** The blob's name in error messages. */
  readonly name: string
  /** The number of bytes that was announced. */
  readonly size: number | undefined
  /** The size of a piece. */
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

  /** Hands on a whole piece and empties the buffer. Called when more bytes have come. */
  protected abstract handOn(): Promise<void>

  protected override async drop(): Promise<void> {
    this.held.forget()
    this.share.give()
  }

  #hold(bytes: Uint8Array): void {
    const larger = this.held.growth(bytes.length)
    const smaller = this.held.byteLength
    // While the bytes are copied, both buffers are in memory.
    if (larger !== undefined) this.share.take(larger)
    this.held.add(bytes)
    if (larger !== undefined) this.share.give(smaller)
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.held.room === 0) await this.handOn()
      // The caller aborted while the piece was handed on.
      if (this.isDone) throw this.over()
      const end = Math.min(bytes.length, at + this.held.room)
      this.#hold(bytes.subarray(at, end))
      at = end
    }
  }
}
