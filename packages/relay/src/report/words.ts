/** The part of a report for people, in plain English. */
import type { ReportKind } from './due.ts'
import type { ReportedMessage, ReportedRecipient } from './facts.ts'
import { foldedLines, mailDate, printable } from './printable.ts'
import { MAX_DIAGNOSTIC, replyText } from './status.ts'

const MAX_ADDRESS = 400
/** More recipients are only in the part for programs. */
const MAX_LISTED = 100

export interface WordsFacts {
  readonly kind: ReportKind
  readonly hostname: string
  readonly message: ReportedMessage
  readonly recipients: readonly ReportedRecipient[]
  /** What the last part is; undefined if there is none. */
  readonly returned: 'message' | 'header'
}

export const SUBJECTS: Readonly<Record<ReportKind, string>> = {
  failed: 'Your message could not be delivered',
  delayed: 'Your message is delayed',
  success: 'Your message was passed on',
}

/** Returns the text, with CRLF at the ends of its lines. */
export function words({ kind, hostname, message, recipients, returned }: WordsFacts): string {
  const listed = recipients.slice(0, MAX_LISTED).flatMap((recipient) => ['', ...recipientLines(recipient)])
  const more = recipients.length - MAX_LISTED
  const lines = [
    `This is an automatic message from the mail server ${printable(hostname, true, MAX_ADDRESS)}.`,
    `Your message arrived there on ${mailDate(message.queuedAt)}.`,
    '',
    ...openings(kind, recipients),
    ...listed,
    ...(more > 0 ? ['', `There are ${more} more recipients. The next part of this message lists all of them.`] : []),
    '',
    'The next part of this message says the same in a form for programs.',
    `The last part is ${returned === 'message' ? 'your message' : 'the header of your message'}.`,
  ]
  return lines.flatMap((line) => foldedLines(line).map((part, at) => (at > 0 ? `   ${part}` : part))).join('\r\n')
}

function openings(kind: ReportKind, recipients: readonly ReportedRecipient[]): readonly string[] {
  const these = recipients.length === 1 ? 'this recipient' : 'these recipients'
  if (kind === 'failed') return [`The message could not be delivered to ${these}.`, 'The server does not try again.']
  if (kind === 'delayed') {
    const last = recipients.reduce((last, { retryUntil = 0 }) => Math.max(last, retryUntil), 0)
    const until = last > 0 ? ` until ${mailDate(last)}` : ''
    return [
      `The message is not yet delivered to ${these}.`,
      `The server tries again${until}. You need not send the message again.`,
    ]
  }
  return [`You asked for this report. It is about ${these}.`]
}

function recipientLines({ address, action, status, reply }: ReportedRecipient): readonly string[] {
  const head = `<${printable(address, true, MAX_ADDRESS)}>`
  const host = printable(reply?.host ?? '', true, MAX_ADDRESS)
  const server = host === '' ? 'The next server' : `The server ${host}`
  if (action === 'delivered') return [head, '  The message was delivered.']
  if (action === 'relayed') {
    return [head, `  ${server} has the message. It sends no report itself.`]
  }
  if (reply === undefined) return [head, `  Status ${printable(status, false, MAX_ADDRESS)}.`]
  const text = printable(replyText(reply), true, MAX_DIAGNOSTIC)
  if (reply.code === 0) return [head, `  ${text}${host === '' ? '' : ` (${host})`}`]
  return [head, `  ${server} ${reply.code >= 500 ? 'refused the message' : 'answered'}:`, `  ${text}`]
}
