/** Makes a client visit at fixed times, and measures the results of its visits. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type ClientOrder, LEAD_MS, type Visits } from '../order.ts'
import type { Visitor } from './visitor.ts'

/** The time that visits may still take after a phase. A longer visit counts as this long, and as not served. */
const PATIENCE_MS = 10_000

export class Watch {
  readonly #order: ClientOrder
  readonly #visit: Visitor
  #phase: Phase | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(order: ClientOrder, visit: Visitor) {
    this.#order = order
    this.#visit = visit
  }

  begin(): void {
    const { maxVisits, intervalMs } = this.#order
    const phase = new Phase(this.#visit)
    this.#phase = phase
    const tick = (): void => {
      if (phase.underWay < maxVisits) phase.begin()
      else phase.late++
    }
    const start = (): void => {
      tick()
      this.#timer = setInterval(tick, intervalMs)
    }
    this.#timer = setTimeout(start, this.#order.kind === 'slow' ? 0 : LEAD_MS)
  }

  async end(): Promise<Visits> {
    // Of either kind.
    clearTimeout(this.#timer)
    const phase = this.#phase ?? new Phase(this.#visit)
    await phase.end()
    const { served, begun, late } = phase
    const at = percentiles(phase.timesMs)
    const figures = { p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
    return { name: this.#order.name, begun, served, late, ...figures, failures: Object.fromEntries(phase.failures) }
  }
}

/** Visits between a beginning and an end. */
class Phase {
  readonly timesMs: number[] = []
  readonly failures = new Map<string, number>()
  begun = 0
  served = 0
  late = 0
  readonly #visit: Visitor
  readonly #ending = new AbortController()
  /** Visits under way, and when they began. */
  readonly #underWay = new Map<Promise<void>, number>()
  #isOver = false

  constructor(visit: Visitor) {
    this.#visit = visit
  }

  get underWay(): number {
    return this.#underWay.size
  }

  begin(): void {
    this.begun++
    const startedMs = performance.now()
    const visit = this.#visit(this.#ending.signal)
      .then(
        () => this.#served(performance.now() - startedMs),
        (error: Error) => this.#failed(error.message),
      )
      .finally(() => this.#underWay.delete(visit))
    this.#underWay.set(visit, startedMs)
  }

  async end(): Promise<void> {
    this.#ending.abort()
    const patience = new AbortController()
    const impatient = sleep(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => {})
    await Promise.race([Promise.all(this.#underWay.keys()), impatient])
    patience.abort()
    for (const startedMs of this.#underWay.values()) {
      this.timesMs.push(performance.now() - startedMs)
      this.#failed('still waits')
    }
    this.#isOver = true
  }

  #served(ms: number): void {
    if (this.#isOver) return
    this.served++
    this.timesMs.push(ms)
  }

  #failed(reason: string): void {
    if (this.#isOver) return
    const code = /^got "(\d{3})/.exec(reason)?.[1] ?? reason.split(':', 1)[0] ?? reason
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1)
  }
}

function percentiles(timesMs: readonly number[]): (share: number) => number {
  const sorted = timesMs.toSorted((a, b) => a - b)
  return (share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}
