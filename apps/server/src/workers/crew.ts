/**
 * Starts the workers of a server together, replaces a worker that dies, and stops all of them.
 *
 * When a worker dies, its places are given back, and a new worker gets its number. Each death within a minute doubles
 * the delay of the next start. After five failed starts in a row the server ends, because only its supervisor can still
 * help.
 */
import type { Logger } from '@logtape/logtape'
import type { Endpoint } from '@postern/engine'
import type { TlsOptions } from '@postern/runtime/tls'
import type { Logins } from '@postern/intake/logins'
import { errorText } from '../host/failure.ts'
import { expectClients } from '../host/signals.ts'
import { SharedAdmission } from './admission.ts'
import { EndedError, type Ending, Member } from './member.ts'
import type { WorkerStart } from './messages.ts'
import type { Shared } from './shared.ts'

const MINUTE_MS = 60_000
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 30_000
const MAX_FAILED_STARTS = 5
/** The engine ends the last sessions a second after the grace time. This leaves it some reserve. */
const STOP_MARGIN_MS = 3_000

export interface CrewOptions {
  readonly shared: Shared
  /** How many addresses there are. */
  readonly addressCount: number
  readonly log: Logger
  /** The logins of all workers together. */
  readonly logins: Logins
  /** Called when a worker has added a message to the queue, or may have done so before it died. */
  added(): void
  /** Returns the start data of a worker. */
  start(index: number): WorkerStart
}

export class Crew {
  /** Resolves with the reason if the server cannot go on. */
  readonly broken: Promise<unknown>
  readonly #options: CrewOptions
  readonly #admission: SharedAdmission
  readonly #members = new Set<Member>()
  /** The addresses of the first worker. The others listen on the same addresses if they can. */
  readonly #places: (Endpoint | undefined)[]
  readonly #restarts = new Set<NodeJS.Timeout>()
  #deathsMs: number[] = []
  #failedStarts = 0
  #isStopping = false
  readonly #break: (why: unknown) => void

  constructor(options: CrewOptions) {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.broken = promise
    this.#break = resolve
    this.#options = options
    // It only reads counts, and removes the counts of dead workers. It never takes a place as worker 0.
    this.#admission = new SharedAdmission(options.shared.admission, 0)
    this.#places = Array.from({ length: options.addressCount })
  }

  /** The number of sessions in all workers. */
  get sessionCount(): number {
    return this.#admission.total
  }

  /**
   * Starts all workers.
   * @returns the addresses that they listen on, in the order of the settings.
   * @throws Failure
   */
  async start(): Promise<readonly Endpoint[]> {
    const { workerCount } = this.#options.shared
    const members = Array.from({ length: workerCount }, (_, index) => this.#make(index))
    try {
      await Promise.all(members.map((member) => member.ready))
      expectClients()
      // The first worker chooses the ports if the settings say port 0.
      const [first, ...others] = members as [Member, ...Member[]]
      await this.#listen(first)
      await Promise.all(others.map((member) => this.#listen(member)))
    } catch (error) {
      this.#isStopping = true
      await Promise.all(members.map((member) => member.kill()))
      throw error instanceof EndedError && error.cause instanceof Error ? error.cause : error
    }
    for (const member of members) this.#watch(member)
    return this.#places as readonly Endpoint[]
  }

  /** Resolves when all later handshakes use it. */
  async useTls(tls: TlsOptions): Promise<void> {
    const orders = [...this.#members].map((member) => member.order({ type: 'use-tls', tls }))
    // If a worker ends at the same time, its replacement starts with the new certificate.
    await Promise.allSettled(orders)
  }

  /** Tells all workers to finish and stop. Kills those that still run a few seconds after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    for (const timer of this.#restarts) clearTimeout(timer)
    const members = [...this.#members]
    for (const member of members) void member.order({ type: 'stop', graceMs }).catch(() => {})
    const timer = setTimeout(() => {
      for (const member of members) {
        if (!member.hasEnded) this.#options.log.warn('a worker did not stop in time', { worker: member.index })
        void member.kill()
      }
    }, graceMs + STOP_MARGIN_MS)
    await Promise.all(members.map((member) => member.ended))
    clearTimeout(timer)
  }

  #make(index: number): Member {
    const { added, logins } = this.#options
    const member = new Member(this.#options.start(index), logins, added)
    this.#members.add(member)
    void member.ended.then(() => {
      this.#members.delete(member)
      this.#admission.forget(index)
      this.#options.shared.bufferedBytes[index] = 0
      added()
    })
    return member
  }

  async #listen(member: Member): Promise<void> {
    const answer = await member.order({ type: 'listen', ports: this.#places.map((place) => place?.port) })
    if (answer.type !== 'listening') return
    for (const { index, at } of answer.at) this.#places[index] = at
  }

  #watch(member: Member): void {
    void member.ended.then((ending) => {
      if (!this.#isStopping) this.#replace(member.index, ending)
    })
  }

  #replace(index: number, { exitCode, error }: Ending): void {
    const delayMs = this.#delayMs()
    this.#options.log.error('a worker ended and will be started again', {
      worker: index,
      exitCode,
      delayMs,
      ...(error !== undefined && { error }),
    })
    this.#startLater(index, delayMs)
  }

  #startLater(index: number, delayMs: number): void {
    const timer = setTimeout(() => {
      this.#restarts.delete(timer)
      void this.#startAgain(index)
    }, delayMs)
    this.#restarts.add(timer)
  }

  async #startAgain(index: number): Promise<void> {
    const { log } = this.#options
    const member = this.#make(index)
    try {
      await member.ready
      await this.#listen(member)
    } catch (error) {
      await member.kill()
      if (this.#isStopping) return
      this.#failedStarts++
      log.error('a worker cannot start', { worker: index, reason: errorText(error) })
      if (this.#failedStarts >= MAX_FAILED_STARTS) this.#break(error)
      else this.#startLater(index, this.#delayMs())
      return
    }
    this.#failedStarts = 0
    log.info('a worker serves again', { worker: index })
    this.#watch(member)
  }

  /** Returns the delay of the next start. It is 0 for the first death within a minute. */
  #delayMs(): number {
    const nowMs = performance.now()
    this.#deathsMs = [...this.#deathsMs.filter((ms) => nowMs - ms < MINUTE_MS), nowMs]
    const before = this.#deathsMs.length - 1
    return before === 0 ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (before - 1))
  }
}
