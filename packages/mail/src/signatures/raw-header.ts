/** The header of a message: its fields, read from chunks. The header has a bound, so a message is never wholly in memory. */

export interface RawField {
  /** In lower case. */
  readonly name: string
  /** The whole field without its last line end, and with its folds as CRLF. Each character is one octet. */
  readonly text: string
}

/** Why no signature of the message can be made or checked. */
export type Unreadable = 'long-header' | 'malformed-header'

/** Larger than any header that a mail program writes. */
export const MAX_HEADER_OCTETS: number = 256 * 1024
/** Most headers fit. */
const FIRST_OCTETS = 4096
const CR = 13
const LF = 10
/** RFC 5322 3.6.8. */
const NAME = /^[\x21-\x39\x3b-\x7e]+$/

/** Collects the header of a message, until its empty line. */
export class HeaderReader {
  #octets = Buffer.alloc(FIRST_OCTETS)
  #size = 0
  #last = LF
  #lastButOne = LF
  #isDone = false

  /** The header ended, or it is longer than allowed. */
  get isDone(): boolean {
    return this.#isDone
  }

  /** Takes a chunk. @returns where the body begins in it; the length of the chunk if the header goes on */
  take(chunk: Uint8Array): number {
    let at = 0
    while (at < chunk.length && !this.#isDone) {
      const octet = chunk[at++] as number
      // A bare LF ends a line too, because it does so for the programs that read the mail.
      if (octet === LF) this.#isDone = this.#last === LF || (this.#last === CR && this.#lastButOne === LF)
      this.#lastButOne = this.#last
      this.#last = octet
    }
    if (this.#size + at > MAX_HEADER_OCTETS) this.#isDone = true
    else this.#keep(chunk.subarray(0, at))
    this.#size += at
    return at
  }

  /** Copies octets, because the view may be valid only until the next chunk. */
  #keep(octets: Uint8Array): void {
    const size = this.#size + octets.length
    if (size > this.#octets.length) {
      const grown = Buffer.alloc(Math.max(2 * this.#octets.length, size))
      grown.set(this.#octets.subarray(0, this.#size))
      this.#octets = grown
    }
    this.#octets.set(octets, this.#size)
  }

  /** Returns the fields from top to bottom. */
  fields(): readonly RawField[] | Unreadable {
    return this.#fields('malformed-header')
  }

  /** Returns the fields from top to bottom, without lines that are no field and what is folded behind them. */
  readableFields(): readonly RawField[] | 'long-header' {
    return this.#fields(undefined) as readonly RawField[] | 'long-header'
  }

  /** @param refusal What a line that is no field leads to. undefined: it is left out */
  #fields(refusal: 'malformed-header' | undefined): readonly RawField[] | Unreadable {
    if (this.#size > MAX_HEADER_OCTETS) return 'long-header'
    // A TextDecoder's latin1 is windows-1252.
    const text: string = this.#octets.toString('latin1', 0, this.#size)
    const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
    // What follows the last line end is a line only if the message ends there.
    if (lines.at(-1) === '') lines.pop()
    if (this.#isDone && lines.at(-1) === '') lines.pop()
    const fields: { name: string; lines: string[] }[] = []
    let last: { name: string; lines: string[] } | undefined
    for (const line of lines) {
      if (line.startsWith(' ') || line.startsWith('\t')) {
        if (last === undefined && fields.length === 0 && refusal !== undefined) return refusal
        last?.lines.push(line)
        continue
      }
      const colon = line.indexOf(':')
      // A field of the obsolete syntax has blanks before its colon.
      const name = line.slice(0, Math.max(0, colon)).trimEnd()
      last = NAME.test(name) ? { name: name.toLowerCase(), lines: [line] } : undefined
      if (last !== undefined) fields.push(last)
      else if (refusal !== undefined) return refusal
    }
    return fields.map((field) => ({ name: field.name, text: field.lines.join('\r\n') }))
  }
}

/** Returns the value of a field, on one line and as it stands. */
export function valueOf({ text }: RawField): string {
  return text.slice(text.indexOf(':') + 1).replaceAll('\r\n', '')
}

/** Returns a field in relaxed form (RFC 6376 3.4.2), without its line end. */
export function relaxed(field: RawField): string {
  const words = valueOf(field)
    .split(/[ \t]/)
    .filter((word) => word !== '')
  return `${field.name}:${words.join(' ')}`
}
