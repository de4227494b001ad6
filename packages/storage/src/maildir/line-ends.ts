/**
 * Lines of files in a Maildir end in LF, as all that read and write them expect: mutt shows a CR at the end of a header field.
 *
 * On the way to the file each CRLF becomes LF, on the way back each LF becomes CRLF, and what comes back is what was given. Only where
 * a message has an LF without a CR before it, this would not hold: such a message is stored as it came. So is one with CR CR LF:
 * CR LF would be left of that, which readers take for the end of a line already.
 */
import { Buffer } from 'node:buffer'

const LF = 0x0a
const CR = 0x0d

/** Makes each CRLF an LF, wherever the chunks end. */
export class LineFeeds {
  /** How many CR the bytes so far end in: 0, 1, or 2 and more. The last one is held back, as its LF may come with the next chunk. */
  #crs = 0

  /** The chunk with LF; undefined where it has LF or CR CR LF of its own, and then it is as if it had not been given. */
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

  /** Octets that are held back. */
  get held(): number {
    return this.#crs > 0 ? 1 : 0
  }

  /** What was held back, and is no more. */
  end(): Uint8Array {
    const held = this.held === 1 ? Uint8Array.of(CR) : new Uint8Array(0)
    this.#crs = 0
    return held
  }
}

/** Makes each LF a CRLF. */
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
