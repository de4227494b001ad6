/** Reads `value; name=value; …` of Content-Type and Content-Disposition: RFC 2045 5.1, RFC 2231. */
import { decodeText } from '../text/charset.ts'
import { decodeWords } from './encoded-words.ts'

export interface ParameterizedValue {
  /** In lower case. */
  readonly value: string
  /** By the name in lower case. */
  readonly parameters: ReadonlyMap<string, string>
  /** A parameter was malformed or repeated. */
  readonly isMalformed: boolean
}

/** Parameters of one field. Those that follow are left out. */
const MAX_PARAMETERS = 100
/** A continued parameter has at most so many pieces. */
const MAX_PIECES = 500

interface Piece {
  readonly text: string
  /** The value has a charset, or octets as %XX. */
  readonly isExtended: boolean
}

export function parseParameters(field: string): ParameterizedValue {
  const scanner = new Scanner(field)
  const value = scanner.until(';').trim().toLowerCase()
  const parameters = new Map<string, string>()
  const continued = new Map<string, Map<number, Piece>>()
  let isMalformed = false
  for (let count = 0; !scanner.isAtEnd; count++) {
    scanner.skip(';')
    if (scanner.isAtEnd) break
    if (count === MAX_PARAMETERS + MAX_PIECES) {
      isMalformed = true
      break
    }
    const name = scanner.name()
    const text = name === '' ? undefined : scanner.value()
    if (text === undefined) {
      scanner.until(';')
      isMalformed = true
      continue
    }
    const { base, index, isExtended } = partsOf(name)
    if (index === undefined) {
      if (parameters.has(base) || parameters.size === MAX_PARAMETERS) isMalformed = true
      else parameters.set(base, decodeWords(text))
      continue
    }
    const pieces = continued.get(base) ?? new Map<number, Piece>()
    if (pieces.has(index) || index >= MAX_PIECES || continued.size === MAX_PARAMETERS) isMalformed = true
    else pieces.set(index, { text, isExtended })
    continued.set(base, pieces)
  }
  // RFC 2231's form comes before the plain one, which is there for old readers.
  for (const [name, pieces] of continued) {
    const joined = join(pieces)
    if (joined === undefined) isMalformed = true
    else parameters.set(name, joined)
  }
  return { value, parameters, isMalformed }
}

/** Takes `name*0*` apart. `name*` is the same as `name*0*`. */
function partsOf(name: string): { base: string; index: number | undefined; isExtended: boolean } {
  const star = name.indexOf('*')
  if (star < 1) return { base: name, index: undefined, isExtended: false }
  const base = name.slice(0, star)
  const rest = name.slice(star + 1)
  if (rest === '') return { base, index: 0, isExtended: true }
  const isExtended = rest.endsWith('*')
  const digits = isExtended ? rest.slice(0, -1) : rest
  return /^\d{1,3}$/.test(digits)
    ? { base, index: Number(digits), isExtended }
    : { base: name, index: undefined, isExtended: false }
}

/** Joins the pieces of a value: RFC 2231 3 and 4. Returns undefined if the first one is missing. */
function join(pieces: ReadonlyMap<number, Piece>): string | undefined {
  const first = pieces.get(0)
  if (first === undefined) return undefined
  let charset: string | undefined
  let isFirst = true
  const octets: number[] = []
  for (let index = 0; ; index++) {
    const piece = pieces.get(index)
    if (piece === undefined) break
    let { text } = piece
    if (isFirst && piece.isExtended) {
      const quote = text.indexOf("'")
      const second = quote < 0 ? -1 : text.indexOf("'", quote + 1)
      if (second >= 0) {
        charset = text.slice(0, quote)
        text = text.slice(second + 1)
      }
    }
    isFirst = false
    pushOctets(octets, text, piece.isExtended)
  }
  const joined = decodeText(Uint8Array.from(octets), charset === '' ? undefined : charset).text
  return first.isExtended ? joined : decodeWords(joined)
}

const encoder = new TextEncoder()

function pushOctets(octets: number[], text: string, isExtended: boolean): void {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const hex = isExtended && code === 37 ? text.slice(i + 1, i + 3) : ''
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      octets.push(Number.parseInt(hex, 16))
      i += 2
    } else if (code < 128) {
      octets.push(code)
    } else {
      const character = String.fromCodePoint(text.codePointAt(i) as number)
      octets.push(...encoder.encode(character))
      i += character.length - 1
    }
  }
}

/** Reads from the start to the end, without a step back. */
class Scanner {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  /** Returns what is before the character, and leaves out comments (RFC 5322 3.2.2). */
  until(stop: string): string {
    let found = ''
    while (!this.isAtEnd) {
      const character = this.#text[this.#at] as string
      if (character === stop) break
      if (character === '(') {
        this.#comment()
      } else {
        found += character
        this.#at++
      }
    }
    return found
  }

  /** Skips blanks, comments and this character. */
  skip(character: string): void {
    for (; !this.isAtEnd; this.#at++) {
      const at = this.#text[this.#at] as string
      if (at === '(') {
        this.#comment()
        this.#at--
      } else if (at !== character && !isBlank(at)) {
        return
      }
    }
  }

  /** Returns the name of a parameter in lower case, behind which the `=` was. Returns '' if there is none. */
  name(): string {
    const start = this.#at
    while (!this.isAtEnd && !'=;"'.includes(this.#text[this.#at] as string)) this.#at++
    if (this.#text[this.#at] !== '=') return ''
    const name = this.#text.slice(start, this.#at).trim().toLowerCase()
    this.#at++
    return name
  }

  /** Reads a token or a quoted string. A token may have blanks, as many programs write them in names of files. */
  value(): string {
    this.skip(' ')
    if (this.#text[this.#at] !== '"') return this.until(';').trim()
    let found = ''
    for (this.#at++; !this.isAtEnd; this.#at++) {
      const character = this.#text[this.#at] as string
      if (character === '"') {
        this.#at++
        this.until(';')
        return found
      }
      if (character === '\\' && this.#at + 1 < this.#text.length) this.#at++
      found += this.#text[this.#at] as string
    }
    return found
  }

  #comment(): void {
    let depth = 0
    for (; !this.isAtEnd; this.#at++) {
      const character = this.#text[this.#at]
      if (character === '\\') this.#at++
      else if (character === '(') depth++
      else if (character === ')' && --depth === 0) {
        this.#at++
        return
      }
    }
  }
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\n'
}
