/** One awkward message, and what a reader is expected to find in it. The rows are data, so that each runtime can read the same ones. */
import type { MimeLimits } from '@postern/mail'

export interface ExpectedPart {
  readonly section: string
  readonly type: string
  /** Decoded from its transfer encoding. One character is one octet. */
  readonly body: string
  readonly name?: string
  readonly disposition?: string
  readonly contentId?: string
  /** The body as text, where a row is about that. */
  readonly text?: string
  /** Decoded values of fields, where a row is about them. */
  readonly fields?: Readonly<Record<string, string>>
  /** Codes in the order in which they are found, with blanks between them. */
  readonly defects?: string
}

export interface MessageRow {
  /** Says what is awkward in the message. */
  readonly name: string
  /** One character is one octet. A function if it is long. */
  readonly message: string | (() => string)
  readonly parts: readonly ExpectedPart[]
  readonly limits?: Partial<MimeLimits>
}

/** Rows about one subject. */
export interface RowGroup {
  readonly name: string
  readonly rows: readonly MessageRow[]
}

type More = Omit<ExpectedPart, 'section' | 'type' | 'body'>

/** Lines with CRLF between them. The last one has none, unless it is followed by ''. */
export function lines(...all: readonly string[]): string {
  return all.join('\r\n')
}

/** A text as the octets of its UTF-8, one character for each. */
export function utf8(text: string): string {
  return latin1Of(new TextEncoder().encode(text))
}

export function part(section: string, type: string, body: string, more: More = {}): ExpectedPart {
  return { section, type, body, ...more }
}

/** A multipart, or a message whose parts follow. It has no body of its own. */
export function opened(section: string, type: string, more: More = {}): ExpectedPart {
  return { section, type, body: '', ...more }
}

/** Octets as a text of one character for each. */
export function latin1Of(octets: Uint8Array): string {
  const pieces: string[] = []
  for (let i = 0; i < octets.length; i += 8_192) pieces.push(String.fromCharCode(...octets.subarray(i, i + 8_192)))
  return pieces.join('')
}

/** The octets of a text that has one character for each. */
export function octetsOf(text: string): Uint8Array {
  const octets = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i)
  return octets
}
