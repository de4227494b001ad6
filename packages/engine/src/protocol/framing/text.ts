/**
 * Message text after DATA: RFC 5321 4.1.1.4 (end of data), 4.5.2 (transparency).
 *
 * The end is CRLF . CRLF and nothing else. The reader removes a dot only right after CRLF, or at the very start. A CR or LF
 * alone never ends a line, whatever the policy: it neither ends the data nor makes the next dot one to remove. A server that
 * reads it otherwise allows SMTP smuggling (CVE-2023-51764 and similar).
 *
 * The reader returns views of the input and copies nothing. The result does not depend on how the bytes were cut into packets.
 * The meaning of a CR, and of a dot at a line's start, depends on the next byte. The reader keeps these as a state and does not
 * store them.
 */
import { SIMD_OCTETS, simdWalk } from './simd.ts'

const LF = 10
const CR = 13
const DOT = 46

export type BareLineEndings = 'reject' | 'normalise' | 'preserve'

export type TextStatus =
  | 'need-data'
  /** {@link TextReader.piece} is message text. */
  | 'piece'
  /** CRLF . CRLF was read. */
  | 'end'

const EMPTY = new Uint8Array(0)
const NO_WORDS = new Int32Array(0)

/** With fewer bytes, a word-wise search needs more time for its setup than it saves. */
const MIN_WORD_SEARCH_BYTES = 512
/** The high bit of each octet, and the value 14 in each octet. */
const HIGH_BITS = 0x80808080 | 0
const FOURTEENS = 0x0e0e0e0e

/** With fewer octets, the copy needs more time than it saves. */
const MIN_SIMD_OCTETS = 256
/** The copy is also too slow if less than this part of the copied octets is walked over. */
const MIN_SIMD_PART = 1 / 8

/** The state between two bytes. */
const AT = { lineStart: 0, dot: 1, dotCr: 2, inLine: 3, cr: 4 } as const

export class TextReader {
  /** Message text: a view of the input. */
  piece: Uint8Array = EMPTY
  /** The position in the input from which reading goes on. */
  position = 0
  /** True if the text had a CR or LF alone. */
  sawBareLineEnding = false
  /** Octets of the longest line so far. CRLF counts; a dot that is removed does not (RFC 5321 4.5.3.1.6). */
  longestLine = 0

  readonly #normalise: boolean
  #at: number = AT.lineStart
  /** Octets that the line in progress had in earlier inputs. */
  #lineOctets = 0
  /** The beginning of the line in progress, counted as in `read`. */
  #lineStart = 0
  /** The input as words, if the reader walks over it in words; otherwise empty. */
  #words: Int32Array = NO_WORDS
  #input: Uint8Array | undefined
  #wordsStart = 0
  /** Few octets of the input are in ordinary lines. */
  #isPatchy = false

  constructor(policy: BareLineEndings) {
    this.#normalise = policy === 'normalise'
  }

  /** Continues reading in `bytes` from `from`. Call again from `position` until it returns 'need-data' or 'end'. */
  read(bytes: Uint8Array, from: number): TextStatus {
    const end = bytes.length
    let i = from
    let start = from
    // The octets of a line are i - lineStart, even if the line began in an earlier input.
    let lineStart = from - this.#lineOctets
    if (bytes !== this.#input) {
      this.#input = bytes
      this.#words = NO_WORDS
      this.#isPatchy = false
    }

    while (i < end) {
      switch (this.#at) {
        case AT.lineStart:
          if (bytes[i] !== DOT) {
            this.#at = AT.inLine
          } else if (i > start) {
            return this.#give(bytes, start, i, i, lineStart)
          } else {
            this.#at = AT.dot
            start = ++i
          }
          break

        case AT.dot:
          if (bytes[i] === CR) {
            this.#at = AT.dotCr
            start = ++i
          } else {
            this.#at = AT.inLine
            lineStart++
          }
          break

        case AT.dotCr:
          if (bytes[i] === LF) {
            this.position = i + 1
            this.#at = AT.lineStart
            this.#lineOctets = 0
            return 'end'
          }
          // The dot was stuffing, and the CR behind it is alone.
          this.#at = AT.inLine
          return this.#giveBare(CR, i, lineStart + 1)

        case AT.cr:
          if (bytes[i] !== LF) {
            this.#at = AT.inLine
            return this.#giveBare(CR, i, lineStart)
          }
          this.#at = AT.lineStart
          this.#measure(i + 1 - lineStart)
          this.#lineOctets = 0
          this.piece = Uint8Array.of(CR, LF)
          this.position = i + 1
          return 'piece'

        default: {
          i = this.#walkLines(bytes, i, lineStart)
          lineStart = this.#lineStart
          if (i === end || this.#at === AT.lineStart) break
          const octet = bytes[i]
          if (octet === CR && i + 1 === end) {
            this.#at = AT.cr
            if (i > start) return this.#give(bytes, start, i, end, lineStart)
            this.#lineOctets = end - lineStart
            this.position = end
            return 'need-data'
          }
          if (this.#normalise) {
            if (i > start) return this.#give(bytes, start, i, i, lineStart)
            return this.#giveBare(octet as number, i + 1, lineStart)
          } else {
            this.sawBareLineEnding = true
            i++
          }
        }
      }
    }
    if (end > start) return this.#give(bytes, start, end, end, lineStart)
    this.#lineOctets = end - lineStart
    this.position = end
    return 'need-data'
  }

  #give(bytes: Uint8Array, start: number, end: number, position: number, lineStart: number): 'piece' {
    this.piece = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end)
    this.position = position
    this.#lineOctets = position - lineStart
    this.#measure(this.#lineOctets)
    return 'piece'
  }

  /** Returns a CR or LF that is alone and not part of a view. It is a copy, which the hook may keep. */
  #giveBare(octet: number, position: number, lineStart: number): 'piece' {
    this.sawBareLineEnding = true
    this.piece = this.#normalise ? Uint8Array.of(CR, LF) : Uint8Array.of(octet)
    this.position = position
    this.#lineOctets = position - lineStart
    return 'piece'
  }

  #measure(octets: number): void {
    if (octets > this.longestLine) this.longestLine = octets
  }

  /** Drops the input. The reader needs nothing of it for the next one. */
  release(): void {
    this.piece = EMPTY
    this.#words = NO_WORDS
    this.#input = undefined
  }

  #viewAsWords(bytes: Uint8Array): void {
    this.#wordsStart = -bytes.byteOffset & 3
    const words = (bytes.length - this.#wordsStart) >> 2
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset + this.#wordsStart, words)
  }

  /**
   * Walks over ordinary lines, from within the first one. Stops at a CR or LF that does not end a line, at a dot at a line's
   * start, or at the end. Sets where the last line began. Sets `#at` if a new line is about to begin.
   */
  #walkLines(bytes: Uint8Array, from: number, lineStart: number): number {
    let i = from
    let start = lineStart
    while (!this.#isPatchy && bytes.length - i >= MIN_SIMD_OCTETS) {
      const simd = simdWalk()
      if (simd === null) break
      const copied = Math.min(bytes.length - i, SIMD_OCTETS)
      const walked = simd.walk(bytes, i, start)
      start = simd.lineStart
      this.#measure(simd.longest)
      // The octets are copied before the walk, so it is not repeated for a few octets.
      this.#isPatchy = walked - i < copied * MIN_SIMD_PART
      i = walked
      if (i === start && bytes[i] === DOT) {
        this.#at = AT.lineStart
        this.#lineStart = start
        return i
      }
    }
    return this.#walkWords(bytes, i, start)
  }

  /**
   * Does the same with sixteen octets at a time: 2.8 GB/s on lines of 76 octets. One word at a time reads 2.1 GB/s, and a plain
   * loop 0.4 GB/s.
   */
  #walkWords(bytes: Uint8Array, from: number, lineStart: number): number {
    const end = bytes.length
    if (this.#words.length === 0 && end - from >= MIN_WORD_SEARCH_BYTES) this.#viewAsWords(bytes)
    const words = this.#words
    const wordCount = words.length
    const wordsStart = this.#wordsStart
    let i = from
    let start = lineStart
    let longest = this.longestLine
    while (i < end) {
      while (((i - wordsStart) & 3) !== 0 && i < end && (bytes[i] as number) > CR) i++
      if (((i - wordsStart) & 3) === 0 && i >= wordsStart) {
        let word = (i - wordsStart) >> 2
        while (word + 3 < wordCount && !isAnyUnder14(words, word)) word += 4
        while (word < wordCount && !hasOctetUnder14(words[word] as number)) word++
        i = wordsStart + word * 4
        while (i < end && (bytes[i] as number) > CR) i++
      }
      if (i >= end) break
      const octet = bytes[i]
      if (octet !== CR && octet !== LF) {
        i++
        continue
      }
      if (octet === LF || bytes[i + 1] !== LF) break
      i += 2
      if (i - start > longest) longest = i - start
      start = i
      if (i === end || bytes[i] === DOT) {
        this.#at = AT.lineStart
        break
      }
    }
    this.longestLine = longest
    this.#lineStart = start
    return i
  }
}

/** Does {@link hasOctetUnder14} for four words. */
function isAnyUnder14(words: Int32Array, at: number): boolean {
  const a = words[at] as number
  const b = words[at + 1] as number
  const c = words[at + 2] as number
  const d = words[at + 3] as number
  const borrows = ((a - FOURTEENS) & ~a) | ((b - FOURTEENS) & ~b) | ((c - FOURTEENS) & ~c) | ((d - FOURTEENS) & ~d)
  return (borrows & HIGH_BITS) !== 0
}

/**
 * Returns whether one of the four octets is under 14, because the subtraction then borrows. In text these are CR, LF and few
 * others.
 */
function hasOctetUnder14(word: number): boolean {
  return ((word - FOURTEENS) & ~word & HIGH_BITS) !== 0
}
