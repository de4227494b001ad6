/** Makes the document of a message. */
import { Buffer } from 'node:buffer'
import { decodeText, type Part, parts } from '@postern/mail'
import { textBlocks, threadIdOf, unflowed } from '@postern/mail/conversation'
import { isAttachment, SummaryReader, textOfHtml } from '@postern/mail/summary'
import type { StoredMail } from '../mail/contract.ts'
import type { MailRecord } from '../record/record.ts'
import type { DocumentHtml, DocumentPart, DocumentText, MailDocument } from './document.ts'

export interface ToJsonOptions {
  /** The greatest number of octets of text, and of HTML, that are read. Default 1 MiB. */
  readonly maxTextOctets?: number
}

const MAX_TEXT_OCTETS = 1_048_576
/** What a stranger may choose of a part, in characters. */
const MAX_FIELD = 500

/**
 * Makes a document of a message. It reads the message once, and holds no attachment.
 *
 * @throws StorageError as reading the message does; RangeError if `maxTextOctets` is not a whole number from 1
 */
export async function toJson(
  { record, body }: Pick<StoredMail, 'record' | 'body'>,
  { maxTextOctets = MAX_TEXT_OCTETS }: ToJsonOptions = {},
): Promise<MailDocument> {
  if (!Number.isSafeInteger(maxTextOctets) || maxTextOctets < 1)
    throw new RangeError(`maxTextOctets: ${maxTextOctets} is not a whole number from 1`)
  const reader = record.summary === undefined ? new SummaryReader() : undefined
  const plain = new Texts(maxTextOctets, '\n\n')
  const html = new Texts(maxTextOctets, '\n')
  const found: DocumentPart[] = []
  /** Sections of messages inside the message. Their texts are not the author's. */
  let inner: string | undefined
  for await (const part of parts(tee(body, reader))) {
    if (inner !== undefined && !part.section.startsWith(inner)) inner = undefined
    const isText = inner === undefined && !part.isMultipart && !isAttachment(part)
    const texts = !isText
      ? undefined
      : part.type === 'text/plain'
        ? plain
        : part.type === 'text/html'
          ? html
          : undefined
    const size = texts === undefined ? await sizeOf(part) : await texts.take(part)
    found.push(described(part, size, record))
    if (inner === undefined && part.isMessage) inner = `${part.section}.`
  }
  const summary = record.summary ?? (reader as SummaryReader).end()
  const threadId = threadIdOf(summary)
  const text = textOf(plain, html)
  return {
    version: 1,
    record,
    summary,
    verdicts: record.verdicts,
    ...(threadId !== undefined && { threadId }),
    ...(text !== undefined && { text }),
    ...(html.count > 0 && { html: html.document }),
    parts: found,
  }
}

/** Passes chunks on, and gives them to the reader of the summary. */
async function* tee(body: AsyncIterable<Uint8Array>, reader: SummaryReader | undefined): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    reader?.write(chunk)
    yield chunk
  }
}

async function sizeOf({ body }: Part): Promise<number> {
  let size = 0
  for await (const octets of body) size += octets.length
  return size
}

/** Collects texts of one type, up to a number of octets. */
class Texts {
  readonly #max: number
  readonly #separator: string
  #left: number
  #value = ''
  #isCut = false
  count = 0

  constructor(max: number, separator: string) {
    this.#max = max
    this.#left = max
    this.#separator = separator
  }

  /** Reads a part to its end. Returns its size. */
  async take({ body, parameters, type }: Part): Promise<number> {
    const pieces: Uint8Array[] = []
    let size = 0
    for await (const octets of body) {
      size += octets.length
      if (octets.length > this.#left) this.#isCut = true
      if (this.#left === 0) continue
      const piece = octets.slice(0, this.#left)
      pieces.push(piece)
      this.#left -= piece.length
    }
    const octets = Buffer.concat(pieces)
    const { text } = decodeText(this.#isCut ? withoutCutCharacter(octets) : octets, parameters.get('charset'))
    const isFlowed = type === 'text/plain' && parameters.get('format')?.toLowerCase() === 'flowed'
    const delSp = parameters.get('delsp')?.toLowerCase() === 'yes'
    const value = isFlowed ? unflowed(text, delSp) : text.replaceAll('\r\n', '\n')
    this.#value += this.count++ === 0 ? value : `${this.#separator}${value}`
    return size
  }

  get document(): DocumentHtml {
    return { value: this.#value.slice(0, this.#max), isCut: this.#isCut }
  }
}

/** Leaves out the beginning of a character of UTF-8 at the end, because text that is no UTF-8 is read as Windows-1252. */
function withoutCutCharacter(octets: Uint8Array): Uint8Array {
  let start = octets.length
  while (start > 0 && octets.length - start < 4 && ((octets[start - 1] as number) & 0xc0) === 0x80) start--
  const first = octets[start - 1] ?? 0
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1
  return length > octets.length - start + 1 ? octets.subarray(0, start - 1) : octets
}

function textOf(plain: Texts, html: Texts): DocumentText | undefined {
  const isPlain = plain.count > 0
  if (!isPlain && html.count === 0) return undefined
  const { value: written, isCut } = isPlain ? plain.document : html.document
  const value = isPlain ? written : textOfHtml(written)
  return { value, from: isPlain ? 'plain' : 'html', isCut, blocks: textBlocks(value) }
}

function described(part: Part, size: number, { attachments = [] }: MailRecord): DocumentPart {
  const { section, type, encoding, encodedBody, disposition, fileName, contentId, parameters, defects } = part
  const charset = parameters.get('charset')
  const blob = attachments.find((attachment) => attachment.section === section)
  return {
    section,
    type: bounded(type),
    ...(charset !== undefined && { charset: bounded(charset) }),
    ...(disposition !== undefined && { disposition: bounded(disposition) }),
    ...(fileName !== undefined && { fileName: bounded(fileName) }),
    ...(contentId !== undefined && { contentId: bounded(contentId) }),
    encoding: bounded(encoding),
    size,
    isAttachment: isAttachment(part),
    ...(encodedBody !== undefined && { encodedBody: { ...encodedBody } }),
    ...(blob !== undefined && { blob: { key: blob.key, sha256: blob.sha256 } }),
    defects: defects.map(({ code }) => code),
  }
}

function bounded(text: string): string {
  return text.slice(0, MAX_FIELD)
}
