/** Makes texts of strangers harmless in a report: replies of remote servers, addresses, names. */

/** Controls of ASCII and Latin-1, halves of surrogate pairs, line ends of Unicode, and characters that turn or hide text. */
const HIDDEN =
  /[\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff9-\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g
const NOT_ASCII = /[^\x20-\x7e]/g
const ENCODED_WORD = /=\?/g

/**
 * Returns a text on one line without anything that a reader or a parser could take for more than text.
 * @param maxLength In UTF-16 units. A longer text is cut, and ends in `...`.
 */
export function printable(text: string, isUtf8: boolean, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}...` : text
  const clean = cut.replace(HIDDEN, '?')
  return isUtf8 ? clean : clean.replace(NOT_ASCII, '?')
}

/** Breaks encoded words (RFC 2047): a mail reader decodes them in a header, and shows what no program has looked at. */
export function withoutEncodedWords(text: string): string {
  return text.replace(ENCODED_WORD, '= ?')
}

export function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text)
}

const encoder = new TextEncoder()

export function octetsOf(text: string): number {
  return isAscii(text) ? text.length : encoder.encode(text).length
}

/** RFC 5322 2.1.1 asks for lines of at most 78 characters, with CRLF. */
const SOFT_OCTETS = 76
/** It allows at most 998. A word that is longer than this is broken. */
const HARD_OCTETS = 900

/** Breaks a text before its blanks, so that no line is long. The blanks stay at the beginning of the lines that follow. */
export function foldedLines(text: string): readonly string[] {
  const lines: string[] = []
  let line = ''
  let octets = 0
  const words = text
    .split(' ')
    .flatMap((word, at) => pieces(word).map((piece, part) => (at + part > 0 ? ` ${piece}` : piece)))
  for (const word of words) {
    const length = octetsOf(word)
    // A line of blanks alone would be the end of a header for some parsers.
    if (octets + length > SOFT_OCTETS && line.trim() !== '') {
      lines.push(line)
      line = ''
      octets = 0
    }
    line += word
    octets += length
  }
  lines.push(line)
  return lines
}

function pieces(word: string): readonly string[] {
  if (word.length * 3 <= HARD_OCTETS) return [word]
  const found: string[] = []
  let piece = ''
  let octets = 0
  for (const character of word) {
    const length = octetsOf(character)
    if (octets + length > HARD_OCTETS) {
      found.push(piece)
      piece = ''
      octets = 0
    }
    piece += character
    octets += length
  }
  return [...found, piece]
}

/** Makes a header field that ends in CRLF. The value must be {@link printable}. */
export function field(name: string, value: string): string {
  return `${foldedLines(`${name}: ${value}`).join('\r\n')}\r\n`
}

/** Formats a time as RFC 5322 3.3. */
export function mailDate(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000')
}
