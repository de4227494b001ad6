/** What follows an attempt: the results for the queue, when the rest is due, and which reports the sender gets. Pure. */
import { dueReports, type DueReport, type RecipientOutcome } from '../report/index.ts'
import type { AttemptReply } from '../queue/entry.ts'
import type { Claim, RecipientResult } from '../queue/queue.ts'
import { nextStep, type NextStep, type RetrySchedule } from '../schedule.ts'
import { type Attempt, type Result, TOO_MANY } from './attempt.ts'

export interface Settling {
  readonly results: readonly RecipientResult[]
  /** When the recipients that are still pending are due. */
  readonly dueAt: number | undefined
  readonly reports: readonly DueReport[]
}

/** What to do about a recipient. */
interface Judged {
  readonly index: number
  readonly result: Result
  readonly step: NextStep | undefined
}

/**
 * A server that takes only some of the recipients at a time wants the others in the next transaction (RFC 5321 4.5.3.1.10), so they are
 * due at once.
 */
const SOON_MS = 1_000

/** @param random From 0 to below 1 */
export function settlingOf(
  claim: Claim,
  { results }: Pick<Attempt, 'results'>,
  schedule: RetrySchedule,
  now: number,
  random: number,
): Settling {
  const judged = claim.recipients.map((recipient, at): Judged => {
    const result = results[at] as Result
    if (result.state !== 'temporary') return { index: recipient.index, result, step: undefined }
    const { queuedAt, envelope } = claim
    const facts = { queuedAt, attempts: claim.attempts + 1, isDelayNotified: recipient.isDelayNotified, ...envelope }
    return { index: recipient.index, result, step: nextStep(facts, schedule, now, random) }
  })
  const outcomes = judged.map((one) => outcomeOf(one, claim, schedule, now))
  const reports = dueReports(claim, outcomes)
  const told = new Set(
    reports.filter(({ kind }) => kind === 'delayed').flatMap(({ recipients }) => recipients.map(({ index }) => index)),
  )
  const isPartial = results.some(({ state }) => state === 'relayed' || state === 'delivered')
  let dueAt = Infinity
  const recorded = judged.map(({ index, result, step }): RecipientResult => {
    const reply: AttemptReply = {
      at: now,
      code: result.code,
      enhancedCode: result.enhancedCode,
      text: result.text,
      host: result.host,
    }
    if (result.state !== 'temporary') return { index, state: stateOf(result), reply }
    if (step?.action !== 'retry') return { index, state: 'failed', reply }
    dueAt = Math.min(dueAt, isPartial && result.enhancedCode === TOO_MANY ? now + SOON_MS : step.at)
    return { index, state: 'pending', reply, ...(told.has(index) && { isDelayNotified: true as const }) }
  })
  return { results: recorded, dueAt: dueAt === Infinity ? undefined : dueAt, reports }
}

function stateOf({ state, passesNotify }: Result): 'relayed' | 'delivered' | 'failed' {
  if (state === 'relayed') return passesNotify ? 'relayed' : 'delivered'
  return state === 'delivered' ? 'delivered' : 'failed'
}

function outcomeOf(
  { index, result, step }: Judged,
  { queuedAt, envelope }: Claim,
  schedule: RetrySchedule,
  now: number,
): RecipientOutcome {
  const { state, code, text, host, passesNotify } = result
  const reply = { at: now, code, enhancedCode: result.enhancedCode, text, host }
  if (state === 'relayed' || state === 'delivered')
    return { index, action: state, status: statusOf(result, '2.0.0'), reply, passesNotify }
  if (state === 'failed') return { index, action: 'failed', status: statusOf(result, '5.0.0'), reply }
  if (step?.action === 'retry') {
    const retryUntil = Math.max(queuedAt, envelope.holdUntil ?? 0) + schedule.giveUpAfterMs
    const { isDelayNoticeDue } = step
    return { index, action: 'delayed', status: statusOf(result, '4.0.0'), reply, retryUntil, isDelayNoticeDue }
  }
  const status = step?.reason === 'deadline' ? '5.4.7' : '4.4.7'
  return { index, action: 'failed', status, reply }
}

/** Returns the enhanced code of the answer, if its class fits what is reported. */
function statusOf({ enhancedCode }: Result, byDefault: string): string {
  return enhancedCode[0] === byDefault[0] ? enhancedCode : byDefault
}
