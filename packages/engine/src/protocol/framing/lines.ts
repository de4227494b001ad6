/**
 * Command lines: RFC 5321 2.3.8 (CRLF), 4.5.3.1.4 (length).
 * If a line is whole in the input, the reader reads it there. It copies a line only if the end of the input cuts it. The copy
 * goes into a buffer that never holds more than the limit. Octets over the limit are dropped as they come.
 * Only CRLF ends a line. If a CR or LF stands anywhere else, the whole line up to its CRLF is an error and none of it runs. So
 * nobody can hide a command in another one (RFC 5321 2.3.8).
 */
import { asciiText, KIND, kindsOf, upperCase } from '../bytes/ascii.ts'

const LF = 10
const CR = 13

export type LineStatus =
  /** The reader needs more input. */
  | 'need-data'
  /** {@link LineReader.text} is a line, without its CRLF. */
  | 'line'
  /** A bare LF was read: the line is an error and goes on. {@link LineReader.text} is its beginning. Call again. */
  | 'bare-lf'
  /** The line has ended and was dropped: it was too long, had a bare CR or LF, or was not UTF-8. */
  | LineError

export type LineError = 'too-long' | 'bare-line-ending' | 'not-utf8'

const EMPTY = new Uint8Array(0)
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Octets that are kept of a line that cannot be read. They show what the line was, an HTTP request for example. */
const EXCERPT_OCTETS = 512
const AUTH = 'AUTH '
/** Longer lines go to TextDecoder. */
const MAX_SHORT_OCTETS = 128

export class LineReader {
  /** The last line. If it was 'too-long' or 'not-utf8', its beginning. */
  text = ''
  /** Its octets, CRLF included. */
  octets = 0
  /** The kinds of octets in the line, without its CRLF: bits of {@link KIND}. */
  kinds = 0
  /** The position in the input from which reading goes on. */
  position = 0

  readonly #maxOctets: number
  readonly #maxAuthOctets: number
  #held = EMPTY
  #heldOctets = 0
  /** The error of the line in progress. The rest of the line is dropped. */
  #error: LineError | undefined
  /** True if the last dropped octet is a CR. */
  #endsWithCr = false

  /**
   * @param maxOctets The longest line, CRLF included.
   * @param maxAuthOctets The same for AUTH commands and for responses to a challenge: not less than `maxOctets`.
   */
  constructor(maxOctets: number, maxAuthOctets: number) {
    this.#maxOctets = maxOctets
    this.#maxAuthOctets = maxAuthOctets
  }

  /** True if a line has begun and not ended. */
  get isInLine(): boolean {
    return this.#heldOctets > 0 || this.#error !== undefined
  }

  /** Continues reading in `bytes` from `from`. */
  read(bytes: Uint8Array, from: number, isResponse: boolean): LineStatus {
    if (this.#error !== undefined) return this.#discard(bytes, from, this.#error)
    const lf = bytes.indexOf(LF, from)
    this.position = lf < 0 ? bytes.length : lf + 1
    const octets = this.#heldOctets + this.position - from
    const isEnded = lf >= 0 && this.#isCrBefore(bytes, lf, from)
    if (octets > this.#maxOctets && octets > this.#limit(bytes, from, isResponse)) {
      this.#giveUp('too-long', bytes, from)
      if (!isEnded) return this.#discard(bytes, this.position, 'too-long')
      this.#error = undefined
      return 'too-long'
    }
    if (lf >= 0 && !isEnded) {
      this.#giveUp('bare-line-ending', bytes, from)
      return 'bare-lf'
    }
    if (lf >= 0 && this.#heldOctets === 0) return this.#take(bytes, from, this.position)
    this.#hold(bytes, from, this.position)
    if (lf < 0) return 'need-data'
    this.#heldOctets = 0
    return this.#take(this.#held, 0, octets)
  }

  /** Drops a line that has begun. */
  clear(): void {
    this.#held = EMPTY
    this.#heldOctets = 0
    this.#error = undefined
  }

  /** Reads a line that ends with CRLF. */
  #take(bytes: Uint8Array, start: number, end: number): LineStatus {
    this.octets = end - start
    const textEnd = end - 2
    this.kinds = kindsOf(bytes, start, textEnd)
    if ((this.kinds & KIND.high) === 0 && textEnd - start <= MAX_SHORT_OCTETS) {
      this.text = asciiText(bytes, start, textEnd)
    } else {
      try {
        this.text = decoder.decode(bytes.subarray(start, textEnd))
      } catch {
        this.text = beginning(bytes.subarray(start, end))
        return 'not-utf8'
      }
    }
    const hasCr = (this.kinds & KIND.control) !== 0 && this.text.includes('\r')
    return hasCr ? 'bare-line-ending' : 'line'
  }

  /** Drops the part of a line that has been read so far. */
  #giveUp(error: LineError, bytes: Uint8Array, from: number): void {
    this.text = this.#beginning(bytes.subarray(0, this.position), from, EXCERPT_OCTETS)
    this.#endsWithCr = bytes[this.position - 1] === CR
    this.#held = EMPTY
    this.#heldOctets = 0
    this.#error = error
  }

  /** Drops the rest of a line, up to its CRLF. */
  #discard(bytes: Uint8Array, from: number, error: LineError): LineStatus {
    let lf = bytes.indexOf(LF, from)
    while (lf >= 0 && (lf === from ? !this.#endsWithCr : bytes[lf - 1] !== CR)) {
      lf = bytes.indexOf(LF, lf + 1)
    }
    if (lf >= 0) {
      this.position = lf + 1
      this.#error = undefined
      return error
    }
    this.position = bytes.length
    if (from < bytes.length) this.#endsWithCr = bytes[bytes.length - 1] === CR
    return 'need-data'
  }

  /** Returns whether a CR stands right before the octet at `at`, in the input or in the copied part. */
  #isCrBefore(bytes: Uint8Array, at: number, from: number): boolean {
    if (at > from) return bytes[at - 1] === CR
    return this.#heldOctets > 0 && this.#held[this.#heldOctets - 1] === CR
  }

  #hold(bytes: Uint8Array, start: number, end: number): void {
    const octets = this.#heldOctets + end - start
    if (octets > this.#held.length) {
      const grown = new Uint8Array(Math.min(this.#maxAuthOctets, Math.max(64, octets * 2)))
      grown.set(this.#held.subarray(0, this.#heldOctets))
      this.#held = grown
    }
    this.#held.set(bytes.subarray(start, end), this.#heldOctets)
    this.#heldOctets = octets
  }

  /** Returns the limit for a line that is longer than the smaller limit. */
  #limit(bytes: Uint8Array, from: number, isResponse: boolean): number {
    const isAuth = isResponse || upperCase(this.#beginning(bytes, from, AUTH.length)) === AUTH
    return isAuth ? this.#maxAuthOctets : this.#maxOctets
  }

  #beginning(bytes: Uint8Array, from: number, octets: number): string {
    const held = this.#held.subarray(0, Math.min(octets, this.#heldOctets))
    return beginning(held) + beginning(bytes.subarray(from, from + octets - held.length))
  }
}

/** Decodes the first octets, each as a code unit from 0 to 255. */
function beginning(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, EXCERPT_OCTETS))
}
