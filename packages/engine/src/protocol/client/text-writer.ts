/**
 * Writes message text for DATA and BDAT: RFC 5321 2.3.8 (every line ends with CRLF), 4.5.2 (dot-stuffing).
 * A CR or LF that stands alone becomes CRLF, so that a message is the same whichever way it is sent, and no server can read it as two
 * messages (CVE-2023-51764 and similar). The result does not depend on how the text is cut into pieces.
 * A piece that needs no change is not copied.
 */
import { SIMD_OCTETS, simdWalk } from '../framing/simd.ts'

const LF = 10
const CR = 13
const DOT = 46
const EMPTY = new Uint8Array(0)
/** With fewer octets, the copy into the walk's memory needs more time than it saves. */
const MIN_SIMD_OCTETS = 256
/** The copy is also too slow if less than this part of the copied octets is walked over. */
const MIN_SIMD_PART = 1 / 8

/** The state between two pieces. */
const AT = { lineStart: 0, inLine: 1, cr: 2 } as const

export class TextWriter {
  readonly #isStuffing: boolean
  #at: number = AT.lineStart
  /** Up to here few octets of the piece are in ordinary lines. */
  #patchyUntil = 0

  /** @param isStuffing Doubles a dot at the start of a line, as DATA needs it */
  constructor(isStuffing: boolean) {
    this.#isStuffing = isStuffing
  }

  /** Writes the next piece. A CR at its end is written with the next piece, or by `end`. */
  write(piece: Uint8Array): Uint8Array {
    const { length } = piece
    let output: Uint8Array | undefined
    let used = 0
    /** The beginning of what is not written yet. */
    let start = 0
    let i = 0

    /** Writes what is before `end`, and then `octets`. Goes on behind `next`. */
    const change = (end: number, octets: readonly number[], next: number): void => {
      const wanted = used + end - start + octets.length
      if (output === undefined || wanted > output.length) {
        // A text whose lines all end with LF grows by a fortieth or so.
        const grown: Uint8Array = new Uint8Array(Math.max(wanted, Math.ceil((output?.length ?? length) * 1.25) + 64))
        if (output !== undefined) grown.set(output.subarray(0, used))
        output = grown
      }
      output.set(piece.subarray(start, end), used)
      used += end - start
      for (const octet of octets) output[used++] = octet
      start = next
    }

    if (length === 0) return EMPTY
    this.#patchyUntil = 0
    if (this.#at === AT.cr) {
      this.#at = AT.lineStart
      i = piece[0] === LF ? 1 : 0
      change(0, [CR, LF], i)
    }
    while (i < length) {
      if (this.#at === AT.lineStart) {
        if (this.#isStuffing && piece[i] === DOT) change(i, [DOT], i)
        this.#at = AT.inLine
      }
      i = this.#ordinaryEnd(piece, i)
      if (i === length) break
      const octet = piece[i] as number
      // The walk stops within a line, before a dot at the start of one.
      if (octet !== CR && octet !== LF) continue
      this.#at = AT.lineStart
      if (octet === LF) {
        change(i, [CR, LF], ++i)
      } else if (i + 1 === length) {
        this.#at = AT.cr
        change(i, [], ++i)
      } else if (piece[i + 1] === LF) {
        i += 2
      } else {
        change(i, [CR, LF], ++i)
      }
    }
    if (output === undefined) return piece
    change(length, [], length)
    return output.subarray(0, used)
  }

  /** Returns what the end of the text needs: a line ending, if the last line has none. */
  end(): Uint8Array {
    const at = this.#at
    this.#at = AT.lineStart
    return at === AT.lineStart ? EMPTY : Uint8Array.of(CR, LF)
  }

  /**
   * Walks from within a line over ordinary text. Returns the position of a CR or LF, of a dot that may be at the start of a line
   * (then the state is `lineStart`), or the end.
   */
  #ordinaryEnd(piece: Uint8Array, from: number): number {
    const { length } = piece
    let i = from
    if (length - i >= MIN_SIMD_OCTETS && i >= this.#patchyUntil) {
      const simd = simdWalk()
      if (simd !== null) {
        i = simd.walk(piece, i, i)
        const copied = Math.min(length - from, SIMD_OCTETS)
        if (i - from < copied * MIN_SIMD_PART) this.#patchyUntil = from + copied
        if (i > from && i === simd.lineStart) {
          this.#at = AT.lineStart
          return i
        }
      }
    }
    while (i < length) {
      const octet = piece[i]
      if (octet === CR || octet === LF) return i
      i++
    }
    return i
  }
}
