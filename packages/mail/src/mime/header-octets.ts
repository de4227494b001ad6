/** Collects the octets of a header section, up to its empty line or a delimiter. */
import { type Boundaries, type Delimiter, MAX_DELIMITER_OCTETS } from './boundaries.ts'

const LF = 10
const CR = 13
const HYPHEN = 45
const NONE = new Uint8Array(0)

/** The section is whole. */
export interface HeaderEnd {
  readonly octets: Uint8Array
  /** Where the body begins in the input. */
  readonly end: number
  /** The section was longer than the limit. */
  readonly isCut: boolean
  /** A delimiter ended the section, instead of an empty line. */
  readonly delimiter: Delimiter | undefined
}

export class HeaderOctets {
  readonly #max: number
  /** Whole lines. */
  readonly #lines: Store
  /** The beginning of a line that the end of an input cut. */
  readonly #line: Store

  /** @param max Octets that are kept, of lines that are whole and of one that is not, together */
  constructor(max: number) {
    this.#max = max
    this.#lines = new Store(max)
    this.#line = new Store(max)
  }

  /** Takes an input from a position on. Returns undefined if the section goes on behind it. */
  take(input: Uint8Array, from: number, boundaries: Boundaries): HeaderEnd | undefined {
    let start = from
    let lineStart = from
    for (;;) {
      const lf = input.indexOf(LF, lineStart)
      if (lf < 0) {
        this.#lines.add(input.subarray(start, lineStart))
        this.#line.max = Math.max(MAX_DELIMITER_OCTETS, this.#max - this.#lines.length)
        this.#line.add(input.subarray(lineStart))
        return undefined
      }
      const end = lf + 1
      const isCut = this.#line.length > 0
      if (isCut) this.#line.add(input.subarray(lineStart, end))
      const bytes = isCut ? this.#line.octets : input
      const first = isCut ? 0 : lineStart
      const last = isCut ? bytes.length : end
      const isEmpty = last - first === 1 || (last - first === 2 && bytes[first] === CR)
      const delimiter = bytes[first] === HYPHEN ? boundaries.find(bytes, first, last) : undefined
      if (isEmpty || delimiter !== undefined) {
        return this.#end(isCut ? NONE : input.subarray(start, lineStart), end, delimiter)
      }
      if (isCut) {
        this.#lines.add(bytes)
        this.#line.clear()
        start = end
      }
      lineStart = end
    }
  }

  /** Returns what there is, because the message ends. */
  finish(): HeaderEnd {
    return this.#end(this.#line.octets, 0, undefined)
  }

  #end(rest: Uint8Array, end: number, delimiter: Delimiter | undefined): HeaderEnd {
    if (this.#lines.length === 0 && rest.length <= this.#max) return { octets: rest, end, isCut: false, delimiter }
    this.#lines.add(rest)
    return { octets: this.#lines.octets, end, isCut: this.#lines.isCut, delimiter }
  }
}

/** Octets that are added one after another, up to a limit. */
class Store {
  max: number
  #buffer = NONE
  length = 0
  isCut = false

  constructor(max: number) {
    this.max = max
  }

  get octets(): Uint8Array {
    return this.#buffer.subarray(0, this.length)
  }

  add(octets: Uint8Array): void {
    const wanted = this.length + octets.length
    const length = Math.min(wanted, this.max)
    if (wanted > length) this.isCut = true
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.min(this.max, Math.max(length, this.#buffer.length * 2)))
      grown.set(this.octets)
      this.#buffer = grown
    }
    this.#buffer.set(octets.subarray(0, length - this.length), this.length)
    this.length = length
  }

  clear(): void {
    this.length = 0
  }
}
