/** The part of a report for programs: message/delivery-status (RFC 3464 2), or message/global-delivery-status (RFC 6533 4). */
import type { OriginalRecipient } from '@postern/engine'
import type { OutcomeReply, ReportedMessage, ReportedRecipient } from './facts.ts'
import { field, isAscii, mailDate, printable, withoutEncodedWords } from './printable.ts'

const MAX_ADDRESS = 2_000
const MAX_NAME = 300
/** Of a diagnostic text. More than any server needs to say why. */
export const MAX_DIAGNOSTIC = 1_000

export interface StatusFacts {
  readonly hostname: string
  readonly message: ReportedMessage
  readonly recipients: readonly ReportedRecipient[]
  /** The fields may have UTF-8, so the type is message/global-delivery-status. */
  readonly isGlobal: boolean
}

/** Returns whether one of the fields needs UTF-8. A sender that did not use SMTPUTF8 gets ASCII: it may not be able to read more. */
export function needsUtf8({ envelope }: ReportedMessage, recipients: readonly ReportedRecipient[]): boolean {
  if (!envelope.smtpUtf8) return false
  return recipients.some(({ address, originalRecipient, reply }) => {
    return ![address, originalRecipient?.address ?? '', reply?.text ?? ''].every(isAscii)
  })
}

/** Makes the fields of the message, and then those of each recipient, with a blank line between them. */
export function deliveryStatus({ hostname, message, recipients, isGlobal }: StatusFacts): string {
  const name = (text: string): string => withoutEncodedWords(printable(text, isGlobal, MAX_NAME))
  const { envelopeId } = message.envelope
  const perMessage = [
    ...(envelopeId === undefined ? [] : [field('Original-Envelope-Id', name(envelopeId))]),
    field('Reporting-MTA', `dns; ${name(hostname)}`),
    field('Arrival-Date', mailDate(message.queuedAt)),
  ]
  const groups = recipients.map((recipient) => recipientFields(recipient, isGlobal))
  return [perMessage, ...groups].map((fields) => fields.join('')).join('\r\n')
}

function recipientFields(recipient: ReportedRecipient, isGlobal: boolean): readonly string[] {
  const { address, originalRecipient, action, status, reply, retryUntil } = recipient
  return [
    ...(originalRecipient === undefined ? [] : [field('Original-Recipient', original(originalRecipient, isGlobal))]),
    field('Final-Recipient', finalRecipient(address, isGlobal)),
    field('Action', action),
    field('Status', printable(status, false, MAX_NAME)),
    ...(reply === undefined ? [] : replyFields(reply, isGlobal)),
    ...(action === 'delayed' && retryUntil !== undefined ? [field('Will-Retry-Until', mailDate(retryUntil))] : []),
  ]
}

function replyFields(reply: OutcomeReply, isGlobal: boolean): readonly string[] {
  const host = printable(reply.host, isGlobal, MAX_NAME)
  // A code without a host is our own: of the look-up of the domain.
  const type = reply.code === 0 || host === '' ? 'x-postern' : 'smtp'
  return [
    ...(host === '' ? [] : [field('Remote-MTA', `dns; ${host}`)]),
    field('Diagnostic-Code', `${type}; ${withoutEncodedWords(printable(replyText(reply), isGlobal, MAX_DIAGNOSTIC))}`),
    field('Last-Attempt-Date', mailDate(reply.at)),
  ]
}

/** Returns a reply with its codes. Line ends are still in it. */
export function replyText({ code, enhancedCode, text }: OutcomeReply): string {
  if (code === 0) return text
  // Some callers leave the enhanced code in the text.
  const codes = enhancedCode === '' || text.startsWith(enhancedCode) ? `${code}` : `${code} ${enhancedCode}`
  return `${codes} ${text}`.trimEnd()
}

function finalRecipient(address: string, isGlobal: boolean): string {
  return isAscii(address)
    ? `rfc822; ${printable(address, false, MAX_ADDRESS)}`
    : `utf-8; ${utf8Address(address, isGlobal)}`
}

/** Writes ORCPT back. It is decoded already. */
function original({ addressType, address }: OriginalRecipient, isGlobal: boolean): string {
  const type = printable(addressType, false, MAX_NAME)
  if (addressType === 'utf-8') return `${type}; ${utf8Address(address, isGlobal)}`
  return `${type}; ${printable(address, isGlobal, MAX_ADDRESS)}`
}

/** Writes an address as utf-8-addr-unitext if UTF-8 may be written, and as utf-8-addr-xtext otherwise (RFC 6533 3). */
function utf8Address(address: string, isGlobal: boolean): string {
  const clean = printable(address, true, MAX_ADDRESS)
  return clean.replace(isGlobal ? /[\\ ]/g : /[\\ +=]|[^\x20-\x7e]/gu, (character) => {
    const hex = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0')
    return `\\x{${hex}}`
  })
}
