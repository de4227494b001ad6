/** A report as a message: multipart/report (RFC 6522) with RFC 3464 in it. It streams the message that it returns. */
import type { ReportKind } from './due.ts'
import type { ReportedMessage, ReportedRecipient } from './facts.ts'
import { field, isAscii, mailDate, octetsOf, printable } from './printable.ts'
import { quotedPrintable, quotedPrintableText } from './quoted-printable.ts'
import { firstOctets, type ReturnedPart, returnedPart } from './returned.ts'
import { scan } from './scan.ts'
import { deliveryStatus, needsUtf8 } from './status.ts'
import { SUBJECTS, words } from './words.ts'

export interface ReportOptions {
  readonly kind: ReportKind
  /** Names the report. The sender of the message must not be able to guess it: from 16 to 64 letters and digits. */
  readonly id: string
  readonly now: number
  /** The name of this server. */
  readonly hostname: string
  /** Who the report is from, for people. Default: the postmaster of `hostname`. */
  readonly from?: string | undefined
  readonly message: ReportedMessage
  readonly recipients: readonly ReportedRecipient[]
  /** Reads the message from its beginning. It is called twice, and may be left early. */
  readonly read: () => AsyncIterable<Uint8Array>
  /** A longer message is not returned, only its header. Default 65,536. */
  readonly maxReturnedOctets?: number | undefined
}

/** What is put into the queue. */
export interface Report {
  /** The null reverse-path, so that nobody reports on a report. */
  readonly reversePath: ''
  readonly forwardPath: string
  readonly notify: readonly ['NEVER']
  readonly smtpUtf8: boolean
  readonly body: '7BIT' | '8BITMIME'
  /** The message was sent with REQUIRETLS, so its report is too (RFC 8689 5). */
  readonly requireTls: boolean
  /** Lines end in CRLF and have at most 998 octets. */
  readonly content: AsyncIterable<Uint8Array>
}

const MAX_RETURNED_OCTETS = 65_536
/** A longer address does not fit on a line. */
const MAX_ADDRESS_OCTETS = 900
const ID = /^[A-Za-z0-9]{16,64}$/
const encoder = new TextEncoder()

/**
 * Makes a report. It reads the message once before it resolves, and again while `content` is read.
 * @throws TypeError if nobody may get it, or if the id is not as it should be
 */
export async function makeReport(options: ReportOptions): Promise<Report> {
  const { kind, id, message, recipients, read, maxReturnedOctets = MAX_RETURNED_OCTETS } = options
  const { reversePath, ret, requireTls = false } = message.envelope
  if (reversePath === '') throw new TypeError('a message from <> gets no report')
  if (recipients.length === 0) throw new TypeError('a report is about at least one recipient')
  if (!ID.test(id)) throw new TypeError('the id of a report has from 16 to 64 letters and digits')
  // RET is for failures only (RFC 3461 4.3). A message with REQUIRETLS may have content that must not be shown (RFC 8689 5).
  const mayBeWhole = kind === 'failed' && ret !== 'HDRS' && !requireTls
  const scanned = await scan(read(), mayBeWhole ? maxReturnedOctets : 0)
  const returned = returnedPart(message, scanned, mayBeWhole, maxReturnedOctets)
  const isGlobal = needsUtf8(message, recipients)
  const smtpUtf8 = !isAscii(reversePath)
  const is8Bit = isGlobal || smtpUtf8 || returned.encoding === '8bit'
  const head = headerAndStatus(options, returned, { isGlobal, is8Bit, messageId: scanned.messageId })
  return {
    reversePath: '',
    forwardPath: reversePath,
    notify: ['NEVER'],
    smtpUtf8,
    body: is8Bit ? '8BITMIME' : '7BIT',
    requireTls,
    content: contentOf(head, options, returned),
  }
}

async function* contentOf(
  head: string,
  { id, read }: ReportOptions,
  returned: ReturnedPart,
): AsyncGenerator<Uint8Array> {
  yield encoder.encode(head)
  const octets = firstOctets(read(), returned.octets)
  yield* returned.encoding === 'quoted-printable' ? quotedPrintable(octets) : octets
  yield encoder.encode(`\r\n--${boundaryOf(id)}--\r\n`)
}

interface Form {
  readonly isGlobal: boolean
  readonly is8Bit: boolean
  readonly messageId: string | undefined
}

/** Writes everything before the returned message. */
function headerAndStatus(
  options: ReportOptions,
  returned: ReturnedPart,
  { isGlobal, is8Bit, messageId }: Form,
): string {
  const { kind, id, now, hostname, message, recipients } = options
  const host = printable(hostname, false, 255)
  const from = options.from ?? `postmaster@${host}`
  const text = words({ kind, hostname, message, recipients, returned: returned.isWhole ? 'message' : 'header' })
  const isPlain = isAscii(text)
  const boundary = boundaryOf(id)
  const encoding = is8Bit ? '8bit' : '7bit'
  const parent = messageId === undefined ? '' : field('In-Reply-To', messageId) + field('References', messageId)
  return [
    `From: Mail Delivery System <${printable(from, false, MAX_ADDRESS_OCTETS)}>\r\n`,
    toField(message.envelope.reversePath),
    field('Date', mailDate(now)),
    field('Message-ID', `<${id}@${host}>`),
    parent,
    field('Subject', SUBJECTS[kind]),
    'Auto-Submitted: auto-replied\r\n',
    'MIME-Version: 1.0\r\n',
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"\r\n`,
    `Content-Transfer-Encoding: ${encoding}\r\n\r\n`,
    'This is a report in MIME format.\r\n',
    part(boundary, 'text/plain; charset=utf-8', isPlain ? '7bit' : 'quoted-printable', 'Notification'),
    isPlain ? text : quotedPrintableText(text),
    '\r\n',
    part(
      boundary,
      `message/${isGlobal ? 'global-' : ''}delivery-status`,
      isGlobal ? '8bit' : '7bit',
      'Delivery report',
    ),
    deliveryStatus({ hostname, message, recipients, isGlobal }),
    part(boundary, returned.type, returned.encoding, returned.isWhole ? 'Your message' : 'Header of your message'),
  ].join('')
}

function part(boundary: string, type: string, encoding: string, description: string): string {
  return [
    `\r\n--${boundary}\r\n`,
    `Content-Description: ${description}\r\n`,
    `Content-Type: ${type}\r\n`,
    `Content-Transfer-Encoding: ${encoding}\r\n\r\n`,
  ].join('')
}

function boundaryOf(id: string): string {
  return `=_${id}`
}

function toField(address: string): string {
  const isUsable = octetsOf(address) <= MAX_ADDRESS_OCTETS && printable(address, true, MAX_ADDRESS_OCTETS) === address
  return isUsable ? `To: <${address}>\r\n` : 'To: undisclosed-recipients:;\r\n'
}
