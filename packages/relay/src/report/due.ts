/** Which report is due for which recipient: RFC 3461 4.1, 5.2.2 and 6.2, RFC 2852 4.1.4. */
import type { DsnNotify } from '@postern/engine'
import type { Outcome, ReportedAddress, ReportedMessage, ReportedRecipient } from './facts.ts'

/** `success` reports have recipients with the actions `delivered` and `relayed`. */
export type ReportKind = 'failed' | 'delayed' | 'success'

/** A recipient of a message in the queue. */
export interface ReportableRecipient extends ReportedAddress {
  /** Names the recipient in outcomes. */
  readonly index: number
  /** Whether the sender was told that the message is late. */
  readonly isDelayNotified: boolean
}

export interface ReportableEntry extends ReportedMessage {
  readonly recipients: readonly ReportableRecipient[]
}

/** The outcome of an attempt for one recipient. */
export interface RecipientOutcome extends Outcome {
  readonly index: number
}

export interface DueReport {
  readonly kind: ReportKind
  readonly recipients: readonly DueRecipient[]
}

export interface DueRecipient extends ReportedRecipient {
  readonly index: number
}

/**
 * Returns the reports to send after an attempt: at most one of each kind. The caller adds them to the queue in the commit in which it
 * records the outcomes, with `isDelayNotified` for the recipients of a report with the kind `delayed`.
 */
export function dueReports(entry: ReportableEntry, outcomes: readonly RecipientOutcome[]): readonly DueReport[] {
  // Nobody gets a report about a report (RFC 5321 4.5.5).
  if (entry.envelope.reversePath === '') return []
  const known = new Map(entry.recipients.map((recipient) => [recipient.index, recipient]))
  const recipients: Record<ReportKind, DueRecipient[]> = { failed: [], delayed: [], success: [] }
  for (const outcome of outcomes) {
    const recipient = known.get(outcome.index)
    if (recipient === undefined) throw new RangeError(`there is no recipient ${outcome.index}`)
    const kind = kindFor(recipient, outcome, entry)
    if (kind === undefined) continue
    const { address, notify, originalRecipient } = recipient
    recipients[kind].push({ ...outcome, address, notify, originalRecipient })
  }
  const kinds = ['failed', 'delayed', 'success'] as const
  return kinds.flatMap((kind) => (recipients[kind].length === 0 ? [] : [{ kind, recipients: recipients[kind] }]))
}

/** Returns the kind of report that is due for a recipient. */
function kindFor(
  { notify, isDelayNotified }: ReportableRecipient,
  { action, passesNotify = false, isDelayNoticeDue = false }: Outcome,
  { envelope }: ReportedMessage,
): ReportKind | undefined {
  // Without NOTIFY the sender gets what it always got: failures, and a notice of a long delay (RFC 3461 4.1).
  const wants = (event: DsnNotify, byDefault: boolean): boolean => notify?.includes(event) ?? byDefault
  switch (action) {
    case 'failed':
      return wants('FAILURE', true) ? 'failed' : undefined
    case 'delayed':
      return isDelayNoticeDue && !isDelayNotified && wants('DELAY', true) ? 'delayed' : undefined
    case 'delivered':
      return wants('SUCCESS', false) ? 'success' : undefined
    case 'relayed': {
      if (envelope.deliverBy?.trace === true && wants('SUCCESS', true)) return 'success'
      // A server with DSN that was given NOTIFY reports itself. Any other never will (RFC 3461 5.2.2).
      return wants('SUCCESS', false) && !passesNotify ? 'success' : undefined
    }
  }
}
