/**
 * When a delivery is tried again, when its sender is told that it is late, and when this server gives up: RFC 5321 4.5.4.1, RFC 2852,
 * RFC 4865. All times are milliseconds since 1970. The callers give the clock and the random numbers.
 */

export interface RetrySchedule {
  /** The time from the first failed attempt to the second attempt. Each later time is longer by `factor`. Default 5 minutes. */
  readonly firstRetryMs: number
  /** Default 2. */
  readonly factor: number
  /** The longest time between two attempts. Default 4 hours. */
  readonly maxRetryMs: number
  /** The part of a time that chance makes shorter or longer, so that deliveries do not stay together. 0 to 0.9. Default 0.2. */
  readonly jitter: number
  /** The sender is told after this time. Infinity: never. Default 4 hours. */
  readonly delayNoticeAfterMs: number
  /** The last attempt is made after this time. Default 5 days. */
  readonly giveUpAfterMs: number
}

export type ScheduleOptions = { readonly [Name in keyof RetrySchedule]?: RetrySchedule[Name] | undefined }

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const YEAR_MS = 365 * DAY_MS

const DEFAULTS: RetrySchedule = {
  firstRetryMs: 5 * MINUTE_MS,
  factor: 2,
  maxRetryMs: 4 * HOUR_MS,
  jitter: 0.2,
  delayNoticeAfterMs: 4 * HOUR_MS,
  giveUpAfterMs: 5 * DAY_MS,
}

/** What each number may be. */
const RANGES: Readonly<Record<keyof RetrySchedule, readonly [number, number]>> = {
  firstRetryMs: [1_000, YEAR_MS],
  factor: [1, 100],
  maxRetryMs: [1_000, YEAR_MS],
  jitter: [0, 0.9],
  delayNoticeAfterMs: [0, Infinity],
  giveUpAfterMs: [0, YEAR_MS],
}

/** Returns the schedule with its defaults filled in. @throws RangeError that names the field, its value and what is allowed */
export function resolveSchedule(options: ScheduleOptions = {}): RetrySchedule {
  const schedule: Record<keyof RetrySchedule, number> = { ...DEFAULTS }
  for (const name of Object.keys(RANGES) as (keyof RetrySchedule)[]) {
    const value = options[name]
    if (value === undefined) continue
    const [least, most] = RANGES[name]
    if (!(value >= least && value <= most)) throw new RangeError(`${name}: ${value} is not from ${least} to ${most}`)
    schedule[name] = value
  }
  const { firstRetryMs, maxRetryMs } = schedule
  if (options.maxRetryMs !== undefined && maxRetryMs < firstRetryMs)
    throw new RangeError(`maxRetryMs: ${maxRetryMs} is less than firstRetryMs, ${firstRetryMs}`)
  return { ...schedule, maxRetryMs: Math.max(maxRetryMs, firstRetryMs) }
}

/** The facts about a delivery that decide its next step. */
export interface AttemptFacts {
  readonly queuedAt: number
  /** RFC 4865. Every other time counts from here, if it is later than `queuedAt`. */
  readonly holdUntil?: number | undefined
  /** RFC 2852. */
  readonly deliverBy?: { readonly deadline: number; readonly mode: 'return' | 'notify' } | undefined
  /** The failed attempts, with the one that has just failed. */
  readonly attempts: number
  /** Whether the sender has been told that the message is late. */
  readonly isDelayNotified: boolean
}

/** `expired`: tried for long enough. `deadline`: the sender's own time limit, with mode `return`. */
export type Expiry = 'expired' | 'deadline'

export type NextStep =
  | {
      readonly action: 'retry'
      readonly at: number
      /** The sender has to be told now that the message is late, if the sender wishes such reports. */
      readonly isDelayNoticeDue: boolean
    }
  | { readonly action: 'give-up'; readonly reason: Expiry }

/**
 * Returns why a delivery is not to be tried, at the time before an attempt; undefined if it may be tried. A deadline of the sender forbids
 * the attempt. The schedule does not: after the last wait there is one more attempt.
 */
export function expiryOf({ deliverBy }: Pick<AttemptFacts, 'deliverBy'>, now: number): Expiry | undefined {
  return deliverBy?.mode === 'return' && now >= deliverBy.deadline ? 'deadline' : undefined
}

/**
 * Returns what follows a failed attempt that may be repeated.
 *
 * @param now When the attempt failed
 * @param random From 0 to below 1
 */
export function nextStep(facts: AttemptFacts, schedule: RetrySchedule, now: number, random: number): NextStep {
  const reason = expiryOf(facts, now)
  if (reason !== undefined) return { action: 'give-up', reason }
  const start = Math.max(facts.queuedAt, facts.holdUntil ?? 0)
  const giveUpAt = start + schedule.giveUpAfterMs
  if (now >= giveUpAt) return { action: 'give-up', reason: 'expired' }

  const { deliverBy, isDelayNotified } = facts
  const noticeAt = noticeTime(start, schedule, deliverBy)
  const isDelayNoticeDue = !isDelayNotified && now >= noticeAt
  // An attempt is made when the notice is due and when the time is over, so that what the sender reads is new.
  const ends = isDelayNotified || isDelayNoticeDue ? [giveUpAt] : [giveUpAt, noticeAt]
  const wait = waitAfter(facts.attempts, schedule, random)
  const soonest = now + Math.min(wait, schedule.firstRetryMs)
  const at = Math.max(soonest, Math.min(now + wait, ...ends))
  // At the deadline the message is returned without an attempt.
  const deadline = deliverBy?.mode === 'return' ? deliverBy.deadline : Infinity
  return { action: 'retry', at: Math.ceil(Math.min(at, deadline)), isDelayNoticeDue }
}

/** A deadline with mode `notify` makes the notice due earlier (RFC 2852 4.1.4). */
function noticeTime(
  start: number,
  { delayNoticeAfterMs }: RetrySchedule,
  deliverBy: AttemptFacts['deliverBy'],
): number {
  const deadline = deliverBy?.mode === 'notify' ? deliverBy.deadline : Infinity
  return Math.min(start + delayNoticeAfterMs, deadline)
}

function waitAfter(attempts: number, schedule: RetrySchedule, random: number): number {
  const { firstRetryMs, factor, maxRetryMs, jitter } = schedule
  const wait = Math.min(maxRetryMs, firstRetryMs * factor ** Math.max(0, attempts - 1))
  return wait * (1 + jitter * (2 * random - 1))
}
