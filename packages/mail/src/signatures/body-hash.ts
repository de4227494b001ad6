/**
 * The hash of a body (RFC 6376 3.4.3 and 3.4.4), while the body streams.
 *
 * It keeps no line, so that a body of one line needs no more memory and time than another of its size.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Canonicalization } from './canonical.ts'

const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const BUFFER_OCTETS = 16_384
/** What is written at once: a blank, a CR or octet of the body, or a line end. */
const MOST_AT_ONCE = 3
const MOST_OCTETS = BUFFER_OCTETS - MOST_AT_ONCE
/** From this length on, the hash gets octets of the chunk instead of copies. */
const LONG_RUN = 64

export class BodyHash {
  readonly #hash: Hash = createHash('sha256')
  readonly #buffer = new Uint8Array(BUFFER_OCTETS)
  #size = 0
  /** Line ends that count only if something follows them. */
  #lineEnds = 0
  #hasBlank = false
  #hasCr = false
  #isEmpty = true
  #hashedOctets = 0
  readonly #form: Canonicalization

  constructor(form: Canonicalization = 'relaxed') {
    this.#form = form
  }

  /** The octets in this form. Final once there is a digest. */
  get octets(): number {
    return this.#hashedOctets
  }

  update(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      const end = this.#isPlain() ? this.#unchangedEnd(chunk, at) : at
      if (end > at) this.#unchanged(chunk.subarray(at, end))
      if (end < chunk.length) this.#take(chunk[end] as number)
      at = end + 1
    }
  }

  /** Hashes octets as they are. */
  #unchanged(octets: Uint8Array): void {
    if (this.#size + octets.length > MOST_OCTETS || octets.length >= LONG_RUN) this.#flush()
    if (octets.length >= LONG_RUN) this.#write(octets)
    else {
      this.#buffer.set(octets, this.#size)
      this.#size += octets.length
    }
  }

  /** Returns whether nothing is held back, so that the next octet of text is hashed as it is. */
  #isPlain(): boolean {
    return this.#lineEnds === 0 && !this.#hasBlank && !this.#hasCr && !this.#isEmpty
  }

  #take(octet: number): void {
    if (octet === LF) {
      // RFC 6376 5.3: a bare LF counts as CRLF, as it would when it is sent.
      this.#lineEnds++
      this.#hasBlank = this.#hasCr = false
      return
    }
    if (this.#hasCr) this.#content(CR)
    this.#hasCr = octet === CR
    if (this.#form === 'relaxed' && (octet === SPACE || octet === TAB)) this.#hasBlank = true
    else if (octet !== CR) this.#content(octet)
  }

  /** Ends the body. @returns the hash as base64 */
  digest(): string {
    if (this.#hasCr) this.#content(CR)
    this.#lineEnds = 1
    // A body without anything is one line end in simple form, and nothing in relaxed form.
    if (!this.#isEmpty || this.#form === 'simple') this.#writeLineEnds()
    this.#flush()
    return this.#hash.digest('base64')
  }

  #content(octet: number): void {
    if (this.#lineEnds > 0) this.#writeLineEnds()
    if (this.#size > MOST_OCTETS) this.#flush()
    if (this.#hasBlank) this.#buffer[this.#size++] = SPACE
    this.#buffer[this.#size++] = octet
    this.#hasBlank = this.#isEmpty = false
  }

  #writeLineEnds(): void {
    for (; this.#lineEnds > 0; this.#lineEnds--) {
      if (this.#size > MOST_OCTETS) this.#flush()
      this.#buffer[this.#size++] = CR
      this.#buffer[this.#size++] = LF
    }
  }

  #flush(): void {
    if (this.#size === 0) return
    this.#write(this.#buffer.subarray(0, this.#size))
    this.#size = 0
  }

  #write(octets: Uint8Array): void {
    this.#hash.update(octets)
    this.#hashedOctets += octets.length
  }

  #unchangedEnd(chunk: Uint8Array, start: number): number {
    return this.#form === 'relaxed' ? relaxedEnd(chunk, start) : simpleEnd(chunk, start)
  }
}

/** Returns where the octets end that are in relaxed form already: words with one blank between them, and lines with a CRLF between them. */
function relaxedEnd(chunk: Uint8Array, start: number): number {
  // The last octets of a chunk need what follows them.
  const end = chunk.length - 2
  let at = start
  while (at < end) {
    const octet = chunk[at] as number
    if (octet > SPACE) at++
    else if (octet === SPACE && (chunk[at + 1] as number) > SPACE) at += 2
    else if (octet === CR && chunk[at + 1] === LF && (chunk[at + 2] as number) > SPACE) at += 3
    else return at
  }
  return at
}

/** Returns where the octets end that are in simple form already: lines with a CRLF between them, and none of them empty. */
function simpleEnd(chunk: Uint8Array, start: number): number {
  for (let at = start; ;) {
    const lf = chunk.indexOf(LF, at)
    // The last CR of a chunk may begin a line end.
    if (lf === -1) return chunk.at(-1) === CR ? Math.max(start, chunk.length - 1) : chunk.length
    if (lf === start || chunk[lf - 1] !== CR) return lf
    const next = chunk[lf + 1]
    if (next === undefined || next === CR || next === LF) return Math.max(start, lf - 1)
    at = lf + 1
  }
}
