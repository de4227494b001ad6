/**
 * Looks for delimiters in the bytes of a body. The line end before a delimiter belongs to it (RFC 2046 5.1.1), so the scanner holds back what
 * may be one: a line end, and the beginning of a line. It copies only that; all other bytes are views.
 */
import { type Boundaries, type Delimiter, MAX_DELIMITER_OCTETS } from './boundaries.ts'

const LF = 10
const CR = 13
const HYPHEN = 45

export interface Scanned {
  /** Octets of the body, before the delimiter. */
  readonly body: Uint8Array | undefined
  readonly delimiter: Delimiter | undefined
}

const NOTHING = new Uint8Array(0)
const MORE: Scanned = { body: undefined, delimiter: undefined }

export class Scanner {
  readonly #boundaries: Boundaries
  #input: Uint8Array = NOTHING
  #at = 0
  /** The next octet is the first of a line. */
  #isLineStart = true
  /** A line end, and the beginning of the line behind it, that the end of an input cut. */
  #held = NOTHING
  #heldLength = 0
  /** Octets of `held` that are the line end. */
  #lineEnd = 0

  constructor(boundaries: Boundaries) {
    this.#boundaries = boundaries
  }

  get input(): Uint8Array {
    return this.#input
  }

  get at(): number {
    return this.#at
  }

  get isDone(): boolean {
    return this.#at >= this.#input.length
  }

  receive(bytes: Uint8Array): void {
    this.#input = bytes
    this.#at = 0
  }

  /** Goes to a position of the input that is the start of a line. */
  goTo(at: number): void {
    this.#at = at
    this.#isLineStart = true
    this.#heldLength = this.#lineEnd = 0
  }

  /** Returns the next octets of the body, or a delimiter, or both. Returns neither if it needs more input. */
  next(): Scanned {
    if (this.#boundaries.isEmpty) return this.#rest()
    if (this.#heldLength > 0) return this.#completeHeld()
    return this.isDone ? MORE : this.#scan()
  }

  /** Returns what was held back, because the message ends. */
  end(): Scanned {
    const held = this.#held.slice(0, this.#heldLength)
    const delimiter = this.#boundaries.find(held, this.#lineEnd, held.length)
    this.#heldLength = this.#lineEnd = 0
    const body = delimiter === undefined ? held : new Uint8Array(0)
    return { body: body.length === 0 ? undefined : body, delimiter }
  }

  #rest(): Scanned {
    if (this.#heldLength > 0) return { body: this.#release(), delimiter: undefined }
    if (this.isDone) return MORE
    const body = this.#at === 0 ? this.#input : this.#input.subarray(this.#at)
    this.#at = this.#input.length
    this.#isLineStart = body[body.length - 1] === LF
    return { body, delimiter: undefined }
  }

  #scan(): Scanned {
    const input = this.#input
    const from = this.#at
    const { length } = input
    let at = input.indexOf(HYPHEN, from)
    let isStart = false
    while (at >= 0) {
      isStart = at === from ? this.#isLineStart : input[at - 1] === LF
      const lf = input.indexOf(LF, at + 1)
      if (lf < 0) break
      const isCandidate = isStart && input[at + 1] === HYPHEN
      const delimiter = isCandidate ? this.#boundaries.find(input, at, lf + 1) : undefined
      if (delimiter !== undefined) {
        this.#at = lf + 1
        this.#isLineStart = true
        return found(input, from, lineEndBefore(input, from, at), delimiter)
      }
      at = input.indexOf(HYPHEN, lf + 1)
    }
    // Either nothing in the input is the start of a delimiter, or what is from `at` on may be one.
    const isOpen = at + 1 === length || input[at + 1] === HYPHEN
    const lineStart = at >= 0 && isStart && isOpen && length - at <= MAX_DELIMITER_OCTETS ? at : length
    const keep = lineEndBefore(input, from, lineStart)
    if (keep < length) this.#holdAll(input.subarray(keep))
    this.#heldLength = length - keep
    this.#lineEnd = lineStart - keep
    this.#isLineStart = input[length - 1] === LF
    this.#at = length
    return keep > from ? { body: input.subarray(from, keep), delimiter: undefined } : MORE
  }

  /** Adds octets to what is held until it is a delimiter, or none. */
  #completeHeld(): Scanned {
    while (!this.isDone) {
      const octet = this.#input[this.#at] as number
      const last = this.#held[this.#heldLength - 1]
      const lineLength = this.#heldLength - this.#lineEnd
      if (lineLength === 0 && last === CR) {
        // A CR alone is no line end.
        if (octet !== LF) return { body: this.#release(), delimiter: undefined }
        this.#hold(octet)
        this.#lineEnd++
        continue
      }
      const isOpen = lineLength < 2 ? octet === HYPHEN : lineLength < MAX_DELIMITER_OCTETS
      if (!isOpen) {
        this.#isLineStart = lineLength === 0
        return { body: this.#release(), delimiter: undefined }
      }
      this.#hold(octet)
      if (octet !== LF) continue
      const delimiter = this.#boundaries.find(this.#held, this.#lineEnd, this.#heldLength)
      if (delimiter !== undefined) {
        this.#heldLength = this.#lineEnd = 0
        this.#isLineStart = true
        return { body: undefined, delimiter }
      }
      return this.#releaseLine()
    }
    return MORE
  }

  #holdAll(octets: Uint8Array): void {
    if (this.#held.length === 0) this.#held = new Uint8Array(MAX_DELIMITER_OCTETS + 4)
    this.#held.set(octets)
  }

  #hold(octet: number): void {
    this.#held[this.#heldLength++] = octet
    this.#at++
  }

  #release(): Uint8Array {
    const body = this.#held.slice(0, this.#heldLength)
    this.#heldLength = this.#lineEnd = 0
    return body
  }

  /** Releases a line that is no delimiter. Its line end is held back, because a delimiter may follow. */
  #releaseLine(): Scanned {
    const keep = lineEndBefore(this.#held, this.#lineEnd, this.#heldLength)
    const body = this.#held.slice(0, keep)
    this.#held.copyWithin(0, keep, this.#heldLength)
    this.#heldLength -= keep
    this.#lineEnd = this.#heldLength
    return { body, delimiter: undefined }
  }
}

/** Returns where the CRLF, LF or CR begins that is right before a position. */
function lineEndBefore(bytes: Uint8Array, from: number, position: number): number {
  if (position <= from) return position
  const last = bytes[position - 1]
  if (last === CR) return position - 1
  if (last !== LF) return position
  return position - 1 > from && bytes[position - 2] === CR ? position - 2 : position - 1
}

function found(input: Uint8Array, from: number, end: number, delimiter: Delimiter): Scanned {
  return { body: end > from ? input.subarray(from, end) : undefined, delimiter }
}
