/** Decodes encoded words: RFC 2047. */
import { decodeText } from '../text/charset.ts'

const MAX_CHARSET = 60
/** Each word ends in ASCII, and a decoder takes two escapes in a row for a mistake. */
const WITH_ESCAPES = 'iso-2022-'

interface Word {
  readonly charset: string
  readonly octets: Uint8Array
  /** Where the word ends in the text. */
  readonly end: number
}

/**
 * Replaces each encoded word of a text. White space between two of them is left out (RFC 2047 6.2). Octets of neighbours of one charset are
 * decoded together, because many programs cut a character in two.
 */
export function decodeWords(text: string): string {
  let start = text.indexOf('=?')
  if (start < 0) return text
  let decoded = ''
  /** What is before it, is decoded. */
  let done = 0
  let pending: Uint8Array[] = []
  let charset = ''
  const flush = (): void => {
    // A tab is a blank too, because it would fold the field.
    if (pending.length > 0) decoded += printable(decodeText(joined(pending), charset).text).replaceAll('\t', ' ')
    pending = []
  }
  const last = text.lastIndexOf('?=')
  while (start >= 0 && start < last) {
    const word = wordAt(text, start)
    if (word === undefined) {
      start = text.indexOf('=?', start + 2)
      continue
    }
    const between = text.slice(done, start)
    const isNeighbour = pending.length > 0 && isBlank(between)
    if (!isNeighbour || word.charset !== charset || charset.startsWith(WITH_ESCAPES)) flush()
    if (!isNeighbour) decoded += between
    charset = word.charset
    pending.push(word.octets)
    done = word.end
    start = text.indexOf('=?', done)
  }
  flush()
  return decoded + text.slice(done)
}

/** Reads `=?charset?B?text?=`. The charset may have a language (RFC 2231 5). */
function wordAt(text: string, start: number): Word | undefined {
  const first = text.indexOf('?', start + 2)
  if (first < 0 || first === start + 2 || first - start > MAX_CHARSET) return undefined
  if (text[first + 2] !== '?') return undefined
  const encoding = (text[first + 1] as string).toUpperCase()
  if (encoding !== 'B' && encoding !== 'Q') return undefined
  const end = text.indexOf('?=', first + 3)
  if (end < 0) return undefined
  const body = text.slice(first + 3, end)
  const octets = encoding === 'B' ? base64(body) : quoted(body)
  const name = text.slice(start + 2, first)
  const star = name.indexOf('*')
  return { charset: (star < 0 ? name : name.slice(0, star)).toLowerCase(), octets, end: end + 2 }
}

/** Skips what is not base64. */
function base64(text: string): Uint8Array {
  const characters = text.replaceAll(/[^A-Za-z0-9+/]/g, '')
  const isBroken = characters.length % 4 === 1
  const binary = atob(isBroken ? characters.slice(0, -1) : characters)
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}

/** The Q encoding: RFC 2047 4.2. */
function quoted(text: string): Uint8Array {
  const octets: number[] = []
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string
    const hex = character === '=' ? text.slice(i + 1, i + 3) : ''
    if (/^[0-9A-Fa-f]{2}$/.test(hex)) {
      octets.push(Number.parseInt(hex, 16))
      i += 2
    } else if (character === '_') {
      octets.push(32)
    } else if (character.charCodeAt(0) < 128) {
      octets.push(character.charCodeAt(0))
    } else {
      octets.push(...encoder.encode(character))
    }
  }
  return Uint8Array.from(octets)
}

const encoder = new TextEncoder()

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let used = 0
  for (const piece of pieces) {
    whole.set(piece, used)
    used += piece.length
  }
  return whole
}

function isBlank(text: string): boolean {
  for (const character of text) if (character !== ' ' && character !== '\t') return false
  return true
}

/** Replaces controls by blanks, line ends among them: an encoded word may hide them from programs that look at the field. */
export function printable(text: string): string {
  return text.replaceAll(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g, ' ')
}
