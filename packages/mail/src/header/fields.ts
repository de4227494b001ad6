/** The fields of one header section: RFC 5322 2.2. */
import { utf8, windows1252 } from '../text/charset.ts'
import { decodeWords, printable } from './encoded-words.ts'

export interface HeaderField {
  /** As it is written. */
  readonly name: string
  /** Unfolded, without blanks at its ends. Encoded words are as they came. */
  readonly rawValue: string
  /** Unfolded, and encoded words are decoded (RFC 2047). It has blanks for controls, so it is one line. */
  readonly value: string
}

/** Fields in their order. Names have no case. */
export class HeaderFields implements Iterable<HeaderField> {
  readonly #fields: readonly HeaderField[]
  #byName: Map<string, HeaderField[]> | undefined

  constructor(fields: readonly HeaderField[]) {
    this.#fields = fields
  }

  get size(): number {
    return this.#fields.length
  }

  /** Returns the decoded value of the first field of that name. */
  get(name: string): string | undefined {
    return this.getAll(name)[0]?.value
  }

  /** Returns all fields of that name, in their order. */
  getAll(name: string): readonly HeaderField[] {
    this.#byName ??= byName(this.#fields)
    return this.#byName.get(name.toLowerCase()) ?? []
  }

  [Symbol.iterator](): Iterator<HeaderField> {
    return this.#fields[Symbol.iterator]()
  }
}

class Field implements HeaderField {
  readonly name: string
  readonly rawValue: string
  #value: string | undefined

  constructor(name: string, rawValue: string) {
    this.name = name
    this.rawValue = rawValue
  }

  get value(): string {
    this.#value ??= printable(decodeWords(this.rawValue))
    return this.#value
  }
}

function byName(fields: readonly HeaderField[]): Map<string, HeaderField[]> {
  const map = new Map<string, HeaderField[]>()
  for (const field of fields) {
    const name = field.name.toLowerCase()
    const same = map.get(name)
    if (same === undefined) map.set(name, [field])
    else same.push(field)
  }
  return map
}

export interface ParsedHeader {
  readonly fields: HeaderFields
  /** Lines that are no field were left out. */
  readonly isMalformed: boolean
  /** Fields were left out, because there are too many. */
  readonly isCut: boolean
  /** A byte order mark was in front. */
  readonly hasMark: boolean
  /** A field has a control character, or a CR that ends no line. */
  readonly hasControl: boolean
}

const MARK = [0xef, 0xbb, 0xbf]
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)/

/** @param section The section, with or without the empty line at its end */
export function parseHeader(section: Uint8Array, maxFields: number): ParsedHeader {
  const hasMark = MARK.every((octet, i) => section[i] === octet)
  const octets = hasMark ? section.subarray(MARK.length) : section
  const whole = utf8(octets)
  // Windows-1252 has one character for each octet, so a position in the text is one in the octets.
  const text = whole ?? windows1252(octets)
  // Each line is UTF-8 (RFC 6532), or Windows-1252 if it is not.
  const slice = (start: number, end: number): string =>
    whole === undefined ? (utf8(octets.subarray(start, end)) ?? text.slice(start, end)) : text.slice(start, end)
  const fields: HeaderField[] = []
  let name: string | undefined
  let pieces: string[] = []
  let isMalformed = false
  let isCut = false
  const take = (): void => {
    if (name === undefined) return
    if (fields.length === maxFields) isCut = true
    else fields.push(new Field(name, pieces.length === 1 ? (pieces[0] as string).trim() : pieces.join('').trim()))
    name = undefined
  }
  for (let start = 0; start < text.length;) {
    const lf = text.indexOf('\n', start)
    const next = lf < 0 ? text.length : lf + 1
    let end = lf < 0 ? text.length : lf
    if (text.charCodeAt(end - 1) === 13 && end > start) end--
    const first = text.charCodeAt(start)
    if (end > start && (first === 32 || first === 9)) {
      if (name === undefined) isMalformed = true
      else pieces.push(slice(start, end))
    } else if (end > start) {
      take()
      const colon = nameEnd(text, start, end)
      if (colon < 0) {
        isMalformed = true
      } else {
        name = text.slice(start, colon).trimEnd()
        pieces = [slice(text.indexOf(':', colon) + 1, end)]
      }
    }
    start = next
  }
  take()
  return { fields: new HeaderFields(fields), isMalformed, isCut, hasMark, hasControl: CONTROL.test(text) }
}

/** Returns where the name of a field ends: at its colon, or at blanks before it (RFC 5322 4.5). Returns -1 if the line is no field. */
function nameEnd(text: string, start: number, end: number): number {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === 58) return i === start ? -1 : i
    if (code <= 32 || code >= 127) {
      const colon = code === 32 || code === 9 ? blankEnd(text, i, end) : -1
      return i > start && colon >= 0 ? i : -1
    }
  }
  return -1
}

function blankEnd(text: string, start: number, end: number): number {
  let i = start
  while (i < end && (text.charCodeAt(i) === 32 || text.charCodeAt(i) === 9)) i++
  return text[i] === ':' ? i : -1
}
