/** What the results of an attempt change. */
import type { AttemptReply, QueueRecipient } from './entry.ts'
import { invalid } from './checks.ts'
import type { RecipientResult, Settlement } from './queue.ts'

const MAX_TEXT = 1_000
const MAX_HOST = 255
const MAX_ENHANCED_CODE = 20

export function isPending({ state }: QueueRecipient): boolean {
  return state === 'pending'
}

/**
 * Returns the recipients of a delivery after an attempt. A recipient that is not pending stays as it is: somebody else has settled it.
 *
 * @param isLate The lease had ended, so only final results count
 * @throws QueueError `invalid`
 */
export function afterResults(
  recipients: readonly QueueRecipient[],
  { results, dueAt }: Settlement,
  isLate: boolean,
): QueueRecipient[] {
  const after = [...recipients]
  for (const result of results) {
    const recipient = recipients[result.index]
    if (recipient === undefined) throw invalid('results', `there is no recipient ${result.index}`)
    if (after[result.index] !== recipient) throw invalid('results', `recipient ${result.index} is there twice`)
    if (!isPending(recipient) || (isLate && result.state === 'pending')) continue
    after[result.index] = afterResult(recipient, result)
  }
  if (!isLate && dueAt === undefined && after.some(isPending))
    throw invalid('dueAt', 'it has to be there, because recipients are still pending')
  return after
}

function afterResult(recipient: QueueRecipient, { state, reply, isDelayNotified }: RecipientResult): QueueRecipient {
  return {
    ...recipient,
    state,
    attempts: recipient.attempts + 1,
    ...(reply !== undefined && { lastReply: cut(reply) }),
    isDelayNotified: recipient.isDelayNotified || isDelayNotified === true,
  }
}

/** The other server chose the texts. */
function cut({ at, code, enhancedCode, text, host }: AttemptReply): AttemptReply {
  return {
    at,
    code,
    enhancedCode: enhancedCode.slice(0, MAX_ENHANCED_CODE),
    text: text.slice(0, MAX_TEXT),
    host: host.slice(0, MAX_HOST),
  }
}
