/** Which conversation a message belongs to: RFC 5322 3.6.4. */
import type { MailSummary } from '../summary/summary.ts'

/**
 * Returns the message id with which the conversation began: the first of References, or what the message answers, or its own. Messages of one
 * conversation have the same, if their programs keep References whole, as RFC 5322 asks. A sender chooses these fields, so anybody can put a message
 * into any conversation: do not give rights by it. Undefined if the message has none of them.
 */
export function threadIdOf({ references, inReplyTo, messageId }: MailSummary): string | undefined {
  return references?.[0] ?? inReplyTo?.[0] ?? messageId
}
