/** Reads `value; name=value; …` of Content-Type and Content-Disposition: RFC 2045 5.1, RFC 2231. */
import { decodeText } from '../text/charset.ts'
import { decodeWords } from './encoded-words.ts'

export interface ParameterizedValue {
  /** In lower case. */
  readonly value: string
  /** By the name in lower case. */
  readonly parameters: ReadonlyMap<string, string>
  /** A parameter was malformed, repeated or incomplete. */
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
  if (scanner.isBroken) isMalformed = true
  // RFC 2231's form comes before the plain one, which is there for old readers.
  for (const [name, pieces] of continued) {
    const { text, isWhole } = join(pieces)
    if (!isWhole) isMalformed = true
    if (text !== undefined) parameters.set(name, text)
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

/** Joins the pieces of a value: RFC 2231 3 and 4. The text is undefined if the first one is missing. Another one is left out, as everybody does. */
function join(pieces: ReadonlyMap<number, Piece>): { readonly text: string | undefined; readonly isWhole: boolean } {
  const first = pieces.get(0)
  if (first === undefined) return { text: undefined, isWhole: false }
  let charset: string | undefined
  const sorted = [...pieces].toSorted(([one], [other]) => one - other)
  const octets: number[] = []
  for (const [index, piece] of sorted) {
    let { text } = piece
    if (index === 0 && piece.isExtended) {
      const quote = text.indexOf("'")
      const second = quote < 0 ? -1 : text.indexOf("'", quote + 1)
      if (second >= 0) {
        charset = text.slice(0, quote)
        text = text.slice(second + 1)
      }
    }
    pushOctets(octets, text, piece.isExtended)
  }
  const joined = decodeText(Uint8Array.from(octets), charset === '' ? undefined : charset).text
  return { text: first.isExtended ? joined : decodeWords(joined), isWhole: sorted.at(-1)?.[0] === pieces.size - 1 }
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
  /** A comment or a quoted string has no end. */
  isBroken = false

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
    let name = ''
    while (!this.isAtEnd) {
      const character = this.#text[this.#at] as string
      if (character === '(') {
        this.#comment()
        continue
      }
      if ('=;"'.includes(character)) break
      name += character
      this.#at++
    }
    if (this.#text[this.#at] !== '=') return ''
    this.#at++
    return name.trim().toLowerCase()
  }

  /** Reads a token or a quoted string. A token may have blanks, as many programs write them in names of files. */
  value(): string {
    this.skip(' ')
    if (this.#text[this.#at] !== '"') return this.#token()
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
    this.isBroken = true
    return found
  }

  /** Leaves out comments at the end. Brackets before other text belong to the token: many programs write names of files without quotes. */
  #token(): string {
    const start = this.#at
    let end = start
    while (!this.isAtEnd) {
      const character = this.#text[this.#at] as string
      if (character === ';') break
      if (character === '(') {
        this.#comment()
      } else {
        this.#at++
        if (!isBlank(character)) end = this.#at
      }
    }
    return this.#text.slice(start, end)
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
    this.isBroken = true
  }
}

function isBlank(character: string): boolean {
  return character === ' ' || character === '\t' || character === '\r' || character === '\n'
}
