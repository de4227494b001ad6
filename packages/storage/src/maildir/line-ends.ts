/**
 * Converts line ends. In the files of a Maildir, lines end in LF, as all programs that read and write them expect: mutt
 * shows a CR at the end of a header field.
 *
 * Writing turns each CRLF into LF, and reading turns each LF into CRLF, so a reader gets the bytes that were written.
 * This would fail for a message that has an LF without a CR before it, so such a message is stored unchanged. A message
 * with CR CR LF is also stored unchanged: it would become CR LF, which readers take for one line end.
 */
import { Buffer } from 'node:buffer'

const LF = 0x0a
const CR = 0x0d

/** Turns each CRLF into LF, wherever the chunks end. */
export class LineFeeds {
  /**
   * The number of CRs at the end of the bytes so far; 2 also stands for more. The last CR is held back, because its LF
   * may come in the next chunk.
   */
  #crs = 0

  /** Converts a chunk. Returns undefined if it has a single LF or CR CR LF. Then the chunk does not count. */
  convert(bytes: Uint8Array): Uint8Array | undefined {
    if (bytes.length === 0) return bytes
    const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const isCr = (at: number): boolean => (at < 0 ? -at <= this.#crs : from[at] === CR)
    const to = Buffer.allocUnsafe(from.length + 1)
    let length = 0
    if (this.#crs > 0 && from[0] !== LF) to[length++] = CR
    let start = 0
    for (let at = from.indexOf(LF); at !== -1; at = from.indexOf(LF, start)) {
      if (!isCr(at - 1) || isCr(at - 2)) return undefined
      length += from.copy(to, length, start, Math.max(at - 1, start))
      to[length++] = LF
      start = at + 1
    }
    const last = from.length - 1
    const endsInCr = isCr(last)
    length += from.copy(to, length, start, endsInCr ? last : from.length)
    this.#crs = Number(endsInCr) + Number(endsInCr && isCr(last - 1))
    return to.subarray(0, length)
  }

  /** The number of octets that are held back. */
  get held(): number {
    return this.#crs > 0 ? 1 : 0
  }

  /** Returns the octets that were held back. */
  end(): Uint8Array {
    const held = this.held === 1 ? Uint8Array.of(CR) : new Uint8Array(0)
    this.#crs = 0
    return held
  }
}

/** Turns each LF into CRLF. */
export async function* withCrlf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    const from = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const to = Buffer.allocUnsafe(from.length + countOf(LF, from))
    let length = 0
    let start = 0
    for (let at = from.indexOf(LF); at !== -1; at = from.indexOf(LF, start)) {
      length += from.copy(to, length, start, at)
      to[length++] = CR
      to[length++] = LF
      start = at + 1
    }
    length += from.copy(to, length, start)
    yield to.subarray(0, length)
  }
}

function countOf(octet: number, bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(octet); at !== -1; at = bytes.indexOf(octet, at + 1)) count++
  return count
}
