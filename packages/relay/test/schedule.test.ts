/** When deliveries are tried again. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AttemptFacts, expiryOf, nextStep, resolveSchedule } from '@postern/relay'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const QUEUED = 1_800_000_000_000

const schedule = resolveSchedule()
const facts: AttemptFacts = { queuedAt: QUEUED, attempts: 1, isDelayNotified: false }

/** Fails at each time that the schedule names, and returns these times and what the sender was told. */
function play(
  start: AttemptFacts,
  options = schedule,
  random: () => number = () => 0.5,
): { times: number[]; notices: number[]; end: string; endedAt: number } {
  let now = Math.max(start.queuedAt, start.holdUntil ?? 0)
  const times = [now]
  const notices: number[] = []
  for (let attempts = 1; attempts < 10_000; attempts++) {
    const step = nextStep({ ...start, attempts, isDelayNotified: notices.length > 0 }, options, now, random())
    if (step.action === 'give-up') return { times, notices, end: step.reason, endedAt: now }
    if (step.isDelayNoticeDue) notices.push(now)
    expect(step.at).toBeGreaterThan(now)
    now = step.at
    const expiry = expiryOf(start, now)
    if (expiry !== undefined) return { times, notices, end: expiry, endedAt: now }
    times.push(now)
  }
  throw new Error('it never gives up')
}

test('the waits double from five minutes to four hours, and the last attempt is after five days', () => {
  const { times, notices, end } = play(facts)
  const waits = times.slice(1).map((time, at) => (time - (times[at] as number)) / MINUTE)
  // The attempt after 240 minutes is made for the notice.
  expect(waits.slice(0, 8)).toEqual([5, 10, 20, 40, 80, 85, 240, 240])
  expect(notices).toEqual([QUEUED + 4 * HOUR])
  expect(end).toBe('expired')
  expect(times.at(-1)).toBe(QUEUED + 5 * DAY)
})

test('chance moves a wait by the jitter, to both sides', () => {
  const after = (random: number): number => {
    const step = nextStep(facts, schedule, QUEUED, random)
    return step.action === 'retry' ? (step.at - QUEUED) / MINUTE : 0
  }
  expect([after(0), after(0.5), after(1)]).toEqual([4, 5, 6])
})

test('a deadline with mode return ends the delivery at that time, without another attempt', () => {
  const deadline = QUEUED + 12 * MINUTE
  const { times, end, endedAt } = play({ ...facts, deliverBy: { deadline, mode: 'return' } })
  expect(times.map((time) => (time - QUEUED) / MINUTE)).toEqual([0, 5])
  expect([end, endedAt]).toEqual(['deadline', deadline])
})

test('a deadline with mode notify makes the notice due, once, and the delivery goes on', () => {
  const deadline = QUEUED + 12 * MINUTE
  const { times, notices, end } = play({ ...facts, deliverBy: { deadline, mode: 'notify' } })
  expect(notices).toEqual([deadline])
  expect([end, times.at(-1)]).toEqual(['expired', QUEUED + 5 * DAY])
})

test('every time counts from the end of a hold', () => {
  const holdUntil = QUEUED + 3 * DAY
  const { times, notices } = play({ ...facts, holdUntil })
  expect([notices[0], times.at(-1)]).toEqual([holdUntil + 4 * HOUR, holdUntil + 5 * DAY])
})

test('no notice is due if the time for it is infinite', () => {
  expect(play(facts, resolveSchedule({ delayNoticeAfterMs: Infinity })).notices).toEqual([])
})

test.each([
  [{ firstRetryMs: 0 }, 'firstRetryMs: 0 is not from 1000 to 31536000000'],
  [{ factor: 0.5 }, 'factor: 0.5 is not from 1 to 100'],
  [{ jitter: 1 }, 'jitter: 1 is not from 0 to 0.9'],
  [{ giveUpAfterMs: Number.NaN }, 'giveUpAfterMs: NaN is not from 0 to 31536000000'],
  [{ maxRetryMs: MINUTE }, 'maxRetryMs: 60000 is less than firstRetryMs, 300000'],
])('%o is refused', (options, message) => {
  expect(() => resolveSchedule(options)).toThrow(new RangeError(message))
})

test('for any schedule, a delivery ends in time, has one notice at most, and is not tried in a loop', () => {
  const options = fc.record({
    firstRetryMs: fc.integer({ min: 1_000, max: HOUR }),
    factor: fc.double({ min: 1, max: 10, noNaN: true }),
    maxRetryMs: fc.integer({ min: HOUR, max: DAY }),
    jitter: fc.double({ min: 0, max: 0.9, noNaN: true }),
    delayNoticeAfterMs: fc.integer({ min: 0, max: 2 * DAY }),
    giveUpAfterMs: fc.integer({ min: 0, max: 2 * DAY }),
  })
  const deliverBy = fc.option(
    fc.record({
      deadline: fc.integer({ min: QUEUED - HOUR, max: QUEUED + 3 * DAY }),
      mode: fc.constantFrom('return' as const, 'notify' as const),
    }),
    { nil: undefined },
  )
  const random = fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true }))
  fc.assert(
    fc.property(options, deliverBy, random, (given, limit, numbers) => {
      const used = resolveSchedule({ ...given, firstRetryMs: Math.max(given.firstRetryMs, 10 * MINUTE) })
      const { times, notices, end, endedAt } = play({ ...facts, deliverBy: limit }, used, () => numbers.next().value)
      expect(notices.length).toBeLessThanOrEqual(1)
      expect(endedAt).toBeLessThanOrEqual(QUEUED + used.giveUpAfterMs + 2 * used.maxRetryMs)
      if (end === 'expired') expect(endedAt).toBeGreaterThanOrEqual(QUEUED + used.giveUpAfterMs)
      const waits = times.slice(1).map((time, at) => time - (times[at] as number))
      for (const wait of waits) expect(wait).toBeGreaterThanOrEqual(Math.floor(used.firstRetryMs * (1 - used.jitter)))
    }),
  )
})
