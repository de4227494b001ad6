/**
 * Counts TLS by the day, and sends the reports of days that are over: RFC 8460 4.1 and 5.4. The clock and random numbers are the
 * caller's, and so is the file with what is kept.
 */
import type { PolicyFacts } from '../route/outcome.ts'
import { TlsCounter, type TlsCounterOptions, type TlsCounts, type TlsFailure } from './counts.ts'
import { type TlsDispatch, type TlsDispatchOptions, tlsDispatches } from './dispatch.ts'
import type { KeptTlsReports, TlsReportDue } from './kept.ts'

export interface TlsReporterOptions extends Pick<
  TlsDispatchOptions,
  'resolver' | 'organization' | 'contact' | 'submitter' | 'from'
> {
  /** Milliseconds since 1970. */
  now(): number
  /** Returns a number from 0 to below 1. */
  random(): number
  /** Names the report of a day: 8 to 64 letters, digits, dots and hyphens. The same report has the same id each time it is sent. */
  makeId(day: string, domain: string): string
  /** Puts the mail into a queue, or posts the report. If it rejects, it is tried again later. */
  deliver(dispatch: TlsDispatch): Promise<void>
  readonly counter?: TlsCounterOptions | undefined
  /** What an earlier process had kept. */
  readonly kept?: KeptTlsReports | undefined
  readonly events?: TlsReporterEvents | undefined
}

/** What a reporter tells, for a log. None may throw. */
export interface TlsReporterEvents {
  /** @param to `mail`, or a URL */
  sent?(domain: string, to: string): void
  /** @param retryAt When it is tried again; undefined: never */
  failed?(domain: string, error: unknown, retryAt: number | undefined): void
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Reports do not all go at midnight. RFC 8460 4.1 has this delay as an example. */
const MAX_DELAY_MS = 4 * HOUR_MS
/** RFC 8460 5.4: a report is tried for a day. */
const GIVE_UP_AFTER_MS = DAY_MS + MAX_DELAY_MS
const FIRST_RETRY_MS = 300_000
const MAX_RETRY_MS = 4 * HOUR_MS
/** Reports of a few days with the most domains. Only a clock that jumps makes more. */
const MAX_DUE = 30_000

type Due = { -readonly [Name in keyof TlsReportDue]: TlsReportDue[Name] }

export class TlsReporter implements TlsCounts {
  readonly #options: TlsReporterOptions
  readonly #counter: TlsCounter
  /** The day that is counted. */
  #day: string
  #due: Set<Due>
  #changes = 0
  #isSending = false

  constructor(options: TlsReporterOptions) {
    const { kept, counter, now } = options
    this.#options = options
    this.#counter = new TlsCounter(counter)
    this.#day = kept?.day ?? dayOf(now())
    this.#counter.add(kept?.counts ?? [])
    this.#due = new Set(kept?.due.slice(-MAX_DUE).map((due) => ({ ...due })))
  }

  count(domain: string, policy: PolicyFacts, failure?: TlsFailure): void {
    this.#endDay()
    this.#counter.count(domain, policy, failure)
    this.#changes++
  }

  /** Returns a number that changes with what is kept. */
  get changes(): number {
    return this.#changes
  }

  /** Returns what a later process needs. */
  kept(): KeptTlsReports {
    return { version: 1, day: this.#day, counts: this.#counter.counts(), due: [...this.#due] }
  }

  /** Sends the reports that are due, one after another. Never rejects. @param signal Ends it after the report in progress */
  async send(signal?: AbortSignal): Promise<void> {
    if (this.#isSending) return
    this.#isSending = true
    try {
      this.#endDay()
      for (const due of this.#due) {
        if (signal?.aborted === true) return
        if (due.dueAt <= this.#options.now()) await this.#send(due, signal)
      }
    } finally {
      this.#isSending = false
    }
  }

  /** Makes the counts of a day that is over due. */
  #endDay(): void {
    const now = this.#options.now()
    const today = dayOf(now)
    if (today === this.#day) return
    const day = this.#day
    this.#day = today
    this.#changes++
    const endsAt = Date.parse(day) + DAY_MS
    const dueAt = endsAt + Math.floor(this.#options.random() * MAX_DELAY_MS)
    const giveUpAt = Math.max(endsAt, now) + GIVE_UP_AFTER_MS
    for (const counts of this.#counter.take()) {
      this.#due.add({ day, dueAt, giveUpAt, attempts: 0, sentTo: [], counts })
    }
    for (const oldest of this.#due) {
      if (this.#due.size <= MAX_DUE) break
      this.#due.delete(oldest)
    }
  }

  async #send(due: Due, signal: AbortSignal | undefined): Promise<void> {
    const { now, events } = this.#options
    const { domain } = due.counts
    let failure: { readonly error: unknown } | undefined
    let dispatches: readonly TlsDispatch[] = []
    try {
      const made = await this.#dispatches(due, signal)
      if (made === 'unknown') failure = { error: new Error('DNS cannot tell now whether the domain wants reports') }
      else dispatches = made
    } catch (error) {
      // It would fail again.
      this.#due.delete(due)
      this.#changes++
      events?.failed?.(domain, error, undefined)
      return
    }
    for (const dispatch of dispatches) {
      const to = dispatch.kind === 'mail' ? 'mail' : dispatch.url
      if (due.sentTo.includes(to)) continue
      try {
        await this.#options.deliver(dispatch)
        due.sentTo = [...due.sentTo, to]
        events?.sent?.(domain, to)
      } catch (error) {
        failure = { error }
      }
    }
    this.#changes++
    const retryAt = failure && now() + Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** due.attempts)
    const isOver = retryAt === undefined || retryAt > due.giveUpAt
    if (isOver) this.#due.delete(due)
    else Object.assign(due, { dueAt: retryAt, attempts: due.attempts + 1 })
    if (failure !== undefined) events?.failed?.(domain, failure.error, isOver ? undefined : retryAt)
  }

  #dispatches({ day, counts }: Due, signal: AbortSignal | undefined): Promise<readonly TlsDispatch[] | 'unknown'> {
    const { resolver, organization, contact, submitter, from, makeId, now } = this.#options
    const startsAt = Date.parse(day)
    // The last second of the day, as in the example of RFC 8460 4.4.
    const endsAt = startsAt + DAY_MS - 1_000
    const id = makeId(day, counts.domain)
    const report = { organization, contact, submitter, from, id, startsAt, endsAt, now: now() }
    return tlsDispatches(counts, { ...report, resolver, signal })
  }
}

/** The day in UTC: `2026-11-30`. */
function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
