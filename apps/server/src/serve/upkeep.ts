/** What a store needs from time to time: a sweep, and the removal of what is more than is to be kept. */
import type { Logger } from '@logtape/logtape'
import type { MailStore, Retention } from '@postern/storage'
import { errorText } from '../host/failure.ts'
import type { Options } from '../config/options/options.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const HOURS_BETWEEN_SWEEPS = 24

/** What of the settings says how much is kept. */
export function retentionOf({ keepAgeMs, keepCount, keepBytes }: Options): Retention {
  return { maxAgeMs: keepAgeMs, maxCount: keepCount, maxBytes: keepBytes }
}

/**
 * What never committed is told from what is arriving by nothing but its age: so it has to be older than a session, and the last
 * call of its hook, can last, with as much again for clocks that differ.
 */
export function shortestSweepMs({ sessionTimeoutMs, hookTimeoutMs }: Options): number {
  return 2 * (sessionTimeoutMs + hookTimeoutMs)
}

/** A day, or where sessions may last that long, longer. */
export function sweepMs(options: Options): number {
  return Math.max(DAY_MS, shortestSweepMs(options))
}

/**
 * Sweeps now and daily, expires now and hourly; never two at once, so what lasts longer than an hour skips the next. What fails
 * is logged, and tried again when it is next due. @returns what stops it, between two messages
 */
export function startUpkeep(store: MailStore, options: Options, log: Logger): () => void {
  const stopping = new AbortController()
  const { signal } = stopping
  const retention = retentionOf(options)
  let hoursToSweep = 0
  let isBusy = false

  const sweep = async (): Promise<void> => {
    const { messages, temporary } = await store.sweep({ olderThanMs: sweepMs(options), signal })
    if (messages + temporary > 0) log.info('swept what was never committed', { messages, temporary })
  }
  const expire = async (): Promise<void> => {
    if (Object.values(retention).every((limit) => limit === Infinity)) return
    const { messages, bytes } = await store.expire(retention, { signal })
    if (messages > 0) log.info('removed mail past what is kept', { messages, bytes })
  }
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    if (signal.aborted) return
    await work().catch((error: unknown) => {
      if (!signal.aborted) log.error(`${what} failed: ${errorText(error)}`, { error })
    })
  }
  const round = async (): Promise<void> => {
    if (isBusy) return
    isBusy = true
    if (hoursToSweep <= 0) {
      hoursToSweep = HOURS_BETWEEN_SWEEPS
      await attempt('the sweep', sweep)
    }
    await attempt('the removal of mail past what is kept', expire)
    isBusy = false
  }

  void round()
  const timer = setInterval(() => {
    hoursToSweep--
    void round()
  }, HOUR_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
    stopping.abort()
  }
}
