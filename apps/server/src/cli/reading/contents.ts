/** What a person reads of a message: its header and the beginning of its text, decoded. */
import { decodeText, type Part, parts } from '@postern/mail'
import { isAttachment, textOfHtml } from '@postern/mail/summary'
import { safe, safeLines } from '../../host/terminal.ts'

export interface Contents {
  /** Safe for a terminal. */
  readonly text: string
  /** True if there is more of it. */
  readonly isCut: boolean
}

const MAX_FIELD_CHARACTERS = 1_000
const MAX_HEADER_LINES = 200
/** Octets of text that are read. */
const MAX_TEXT_OCTETS = 64 * 1024
const MAX_TEXT_LINES = 40
/** Octets of the message that are read until there is a text. */
const MAX_READ_OCTETS = 8 * 1024 * 1024

/** Reads a message until its text is found. Reads plain text if the message has some, or else what its HTML shows. */
export async function contentsOf(message: AsyncIterable<Uint8Array>): Promise<Contents> {
  let header: readonly string[] = []
  let html: Beginning | undefined
  let isFirst = true
  for await (const part of parts(atMost(message, MAX_READ_OCTETS))) {
    if (isFirst) header = headerLines(part)
    isFirst = false
    if (part.isMultipart || isAttachment(part)) continue
    if (part.type === 'text/plain') return contents(header, await beginningOf(part))
    if (part.type === 'text/html') html ??= await beginningOf(part)
  }
  if (html === undefined) return contents(header, { text: '', isWhole: true })
  return contents(header, { ...html, text: withoutBlankLines(textOfHtml(html.text)) })
}

async function* atMost(message: AsyncIterable<Uint8Array>, max: number): AsyncGenerator<Uint8Array> {
  let octets = 0
  for await (const piece of message) {
    yield piece
    octets += piece.length
    if (octets >= max) return
  }
}

function headerLines({ fields }: Part): string[] {
  const lines = Array.from(fields, ({ name, value }) => {
    const shown = value.length <= MAX_FIELD_CHARACTERS ? value : `${value.slice(0, MAX_FIELD_CHARACTERS)}…`
    return safe(`${name}: ${shown}`)
  })
  if (lines.length <= MAX_HEADER_LINES) return lines
  return [...lines.slice(0, MAX_HEADER_LINES), `(${lines.length - MAX_HEADER_LINES} more fields)`]
}

interface Beginning {
  readonly text: string
  readonly isWhole: boolean
}

async function beginningOf({ body, parameters }: Part): Promise<Beginning> {
  const pieces: Uint8Array[] = []
  let octets = 0
  for await (const piece of body) {
    pieces.push(piece)
    octets += piece.length
    if (octets > MAX_TEXT_OCTETS) break
  }
  const { text } = decodeText(Buffer.concat(pieces).subarray(0, MAX_TEXT_OCTETS), parameters.get('charset'))
  return { text, isWhole: octets <= MAX_TEXT_OCTETS }
}

function contents(header: readonly string[], { text, isWhole }: Beginning): Contents {
  const lines = text.split(/\r?\n/)
  const shown = safeLines(lines.slice(0, MAX_TEXT_LINES).join('\n'))
  return { text: `${header.join('\n')}\n\n${shown}`.trimEnd(), isCut: !isWhole || lines.length > MAX_TEXT_LINES }
}

function withoutBlankLines(text: string): string {
  const lines = text.split(/\r?\n/).map((line) => line.trim())
  return lines.filter((line) => line !== '').join('\n')
}
