/** `@postern/mail/summary`: what a list of messages shows, and attachments while a message arrives. */
export type { Mailbox } from '../header/addresses.ts'
export { parseMailboxes } from '../header/addresses.ts'
export { type AttachmentEvent, type AttachmentHead, AttachmentReader } from './attachment-reader.ts'
export { parseDate } from './dates.ts'
export { textOfHtml } from './snippet.ts'
export { type AttachmentSummary, isAttachment, type MailSummary } from './summary.ts'
export { SummaryReader } from './summary-reader.ts'
