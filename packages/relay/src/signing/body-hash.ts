/**
 * The hash of a body in relaxed form (RFC 6376 3.4.4), while the body streams.
 *
 * It keeps no line, so that a body of one line needs no more memory and time than another of its size.
 */
import { createHash, type Hash } from 'node:crypto'

const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const BUFFER_OCTETS = 16_384
/** What one octet of the body can add besides line ends: a blank, a CR and itself. */
const MOST_AT_ONCE = 3

export class BodyHash {
  readonly #hash: Hash = createHash('sha256')
  readonly #buffer = new Uint8Array(BUFFER_OCTETS)
  #size = 0
  /** Line ends that count only if something follows them. */
  #lineEnds = 0
  #hasBlank = false
  #hasCr = false
  #isEmpty = true

  update(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; at++) {
      const octet = chunk[at] as number
      if (octet === LF) {
        // RFC 6376 5.3: a bare LF counts as CRLF, as it would when it is sent.
        this.#lineEnds++
        this.#hasBlank = this.#hasCr = false
        continue
      }
      if (this.#hasCr) this.#content(CR)
      this.#hasCr = octet === CR
      if (octet === SPACE || octet === TAB) this.#hasBlank = true
      else if (octet !== CR) this.#content(octet)
    }
  }

  /** Ends the body. @returns the hash as base64 */
  digest(): string {
    if (this.#hasCr) this.#content(CR)
    this.#lineEnds = 1
    if (!this.#isEmpty) this.#writeLineEnds()
    this.#flush()
    return this.#hash.digest('base64')
  }

  #content(octet: number): void {
    if (this.#lineEnds > 0) this.#writeLineEnds()
    if (this.#size > BUFFER_OCTETS - MOST_AT_ONCE) this.#flush()
    if (this.#hasBlank) this.#buffer[this.#size++] = SPACE
    this.#buffer[this.#size++] = octet
    this.#hasBlank = this.#isEmpty = false
  }

  #writeLineEnds(): void {
    for (; this.#lineEnds > 0; this.#lineEnds--) {
      if (this.#size > BUFFER_OCTETS - MOST_AT_ONCE) this.#flush()
      this.#buffer[this.#size++] = CR
      this.#buffer[this.#size++] = LF
    }
  }

  #flush(): void {
    this.#hash.update(this.#buffer.subarray(0, this.#size))
    this.#size = 0
  }
}
