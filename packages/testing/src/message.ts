/** Parses a message that came. */
import type { MailRecord } from '@postern/storage'
import type { Address, Email } from 'postal-mime'

export interface TestMessage {
  /** The id in the server's reply, in the trace header and in the store. */
  readonly id: string
  /** The addresses of MAIL and RCPT. They decide who gets the message, whatever its header says. */
  readonly envelope: { readonly from: string; readonly to: readonly string[] }
  /** The user who logged in. */
  readonly user: string | undefined
  /** The record of the store: session, TLS, parameters, size, digest. */
  readonly record: MailRecord
  /** The bytes as the client sent them. */
  readonly raw: Uint8Array
  /** `raw` as text, read as UTF-8. */
  readonly source: string

  // From the header, decoded

  readonly subject: string | undefined
  readonly from: Mailbox | undefined
  readonly to: readonly Mailbox[]
  readonly cc: readonly Mailbox[]
  readonly replyTo: readonly Mailbox[]
  /** Undefined if the header has no valid date. */
  readonly date: Date | undefined
  /** With its angle brackets. */
  readonly messageId: string | undefined
  /** All fields in order, unfolded. */
  readonly headers: readonly Field[]
  /** Returns the first field of this name, in any case: unfolded, and its encoded words decoded. */
  header(name: string): string | undefined

  // From the body

  readonly text: string | undefined
  readonly html: string | undefined
  readonly attachments: readonly Attachment[]
  /** The error, if the message cannot be parsed, or has headers of more than 256 KiB. Then all fields from header and body are empty. */
  readonly parseError: Error | undefined
}

export interface Mailbox {
  /** '' if there is none. */
  readonly name: string
  readonly address: string
}

export interface Field {
  readonly name: string
  readonly value: string
}

export interface Attachment {
  readonly filename: string | undefined
  /** In lower case: 'image/png'. */
  readonly mimeType: string
  /** With its angle brackets. */
  readonly contentId: string | undefined
  readonly content: Uint8Array
}

/** Bounds the header, because the parser needs seconds for a megabyte of encoded words. 10,000 fields fit. */
const MAX_HEADER_BYTES = 256 * 1024

/** Parses a message. Never rejects: a message that cannot be parsed has a `parseError`. */
export async function readMessage(record: MailRecord, raw: Uint8Array): Promise<TestMessage> {
  // The parser is loaded only when a message comes.
  const { default: PostalMime, decodeWords } = await import('postal-mime')
  let email: Email = { headers: [], headerLines: [], attachments: [] }
  let parseError: Error | undefined
  try {
    email = await PostalMime.parse(raw, { maxHeadersSize: MAX_HEADER_BYTES })
  } catch (error) {
    parseError = error instanceof Error ? error : new Error(String(error))
  }
  const headers = email.headers.map(({ originalKey, value }): Field => ({ name: originalKey, value }))
  return {
    id: record.id,
    envelope: { from: record.reversePath.address, to: record.forwardPaths.map(({ address }) => address) },
    user: record.session.user,
    record,
    raw,
    get source() {
      return new TextDecoder().decode(raw)
    },
    subject: email.subject,
    from: mailboxesOf(email.from)[0],
    to: mailboxesOf(email.to),
    cc: mailboxesOf(email.cc),
    replyTo: mailboxesOf(email.replyTo),
    date: dateOf(email.date),
    messageId: email.messageId,
    headers,
    header(name) {
      const value = headers.find((field) => field.name.toLowerCase() === name.toLowerCase())?.value
      return value === undefined ? undefined : decodeWords(value)
    },
    text: email.text,
    html: email.html,
    attachments: email.attachments.map(({ filename, mimeType, contentId, content }) => ({
      filename: filename ?? undefined,
      mimeType,
      contentId,
      content: bytesOf(content),
    })),
    parseError,
  }
}

/** Returns the mailboxes of an address list, with those of its groups. */
function mailboxesOf(given: Address | readonly Address[] | undefined): Mailbox[] {
  const list = given === undefined ? [] : [given].flat()
  return list.flatMap((one) => one.group ?? [one]).map(({ name, address }) => ({ name, address }))
}

function dateOf(text: string | undefined): Date | undefined {
  const date = new Date(text ?? '')
  return Number.isNaN(date.getTime()) ? undefined : date
}

function bytesOf(content: ArrayBuffer | Uint8Array | string): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : new Uint8Array(content)
}
