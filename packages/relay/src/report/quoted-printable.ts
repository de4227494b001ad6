/** Quoted-printable (RFC 2045 6.7) of a stream. */

const CR = 13
const LF = 10
const SPACE = 32
const TAB = 9
const EQUALS = 61
/** A line has at most 76 characters, and one of them may be the soft line break. */
const MAX_LINE = 75
const SOFT_BREAK = '=\r\n'

const encoder = new TextEncoder()

/** Encodes a stream. CRLF is a line end; CR or LF alone is data. */
export async function* quotedPrintable(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const state = new Encoding()
  for await (const chunk of chunks) {
    const text = state.add(chunk)
    if (text !== '') yield encoder.encode(text)
  }
  yield encoder.encode(state.end())
}

/** Encodes a text. Its line ends are CRLF. */
export function quotedPrintableText(text: string): string {
  const state = new Encoding()
  return state.add(encoder.encode(text)) + state.end()
}

class Encoding {
  #column = 0
  /** A blank or a CR. How it is written depends on what follows. */
  #held: number | undefined

  add(bytes: Uint8Array): string {
    let text = ''
    for (const octet of bytes) text += this.#next(octet)
    return text
  }

  end(): string {
    const held = this.#held
    this.#held = undefined
    return held === undefined ? '' : this.#put(escaped(held))
  }

  #next(octet: number): string {
    const held = this.#held
    this.#held = undefined
    if (held === CR && octet === LF) return this.#lineEnd()
    // A blank before the end of a line would be lost.
    const isBeforeEnd = octet === CR
    let text =
      held === undefined ? '' : this.#put(held === CR || isBeforeEnd ? escaped(held) : String.fromCharCode(held))
    if (octet === CR || octet === SPACE || octet === TAB) this.#held = octet
    else
      text += this.#put(octet > SPACE && octet < 127 && octet !== EQUALS ? String.fromCharCode(octet) : escaped(octet))
    return text
  }

  #put(text: string): string {
    const isFull = this.#column + text.length > MAX_LINE
    this.#column = isFull ? text.length : this.#column + text.length
    return isFull ? SOFT_BREAK + text : text
  }

  #lineEnd(): string {
    this.#column = 0
    return '\r\n'
  }
}

function escaped(octet: number): string {
  return `=${octet.toString(16).toUpperCase().padStart(2, '0')}`
}
