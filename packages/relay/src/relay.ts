/**
 * Sends mail on. Takes messages, keeps them with their entry in the queue, and hands each to the next server until it is delivered or
 * given up. The sender gets reports.
 *
 * A message is durable before its entry, and the entry before `submit` resolves. A result is durable before the message is removed. So
 * a crash at any time loses nothing. It sends a message twice only if a server took it and the result was not yet recorded.
 */
import { isStorageError } from '@postern/storage'
import { Bookkeeping } from './bookkeeping.ts'
import { Congestion } from './delivery/congestion.ts'
import { Connections } from './delivery/connections.ts'
import { Incoming } from './incoming.ts'
import { removeLeftovers } from './leftovers.ts'
import type { NewMail, RelayOptions } from './options.ts'
import { Outgoing } from './outgoing.ts'
import type { Attempt } from './delivery/attempt.ts'
import { isQueueError, type QueueErrorCode } from './queue/error.ts'
import type { Claim } from './queue/queue.ts'
import { Removals } from './removals.ts'
import { resolveSchedule } from './schedule.ts'
import { Spool } from './spool.ts'

const LEASE_MS = 3_600_000
/** The longest sleep, so that a clock that jumps is noticed. */
const MAX_SLEEP_MS = 60_000
/** While something waits, the relay looks so often whether another process has changed the queue. */
const LOOK_MS = 1_000
/** After a failure of the queue, the relay waits this long. */
const FAILED_SLEEP_MS = 5_000
/** Failures of the queue that may end. */
const PASSING: readonly QueueErrorCode[] = ['full', 'busy', 'unavailable']
/** A message gets its entry within this time. */
const ORPHAN_AGE_MS = 3_600_000

export class Relay {
  readonly #options: RelayOptions
  readonly #congestion: Congestion
  readonly #connections: Connections
  readonly #removals: Removals
  readonly #incoming: Incoming
  readonly #outgoing: Outgoing
  readonly #bookkeeping: Bookkeeping
  readonly #maxDeliveries: number
  readonly #abort = new AbortController()
  /** Aborted when the relay begins to stop. */
  readonly #stopping = new AbortController()
  readonly #running = new Set<Promise<void>>()
  readonly #madeAt = Date.now()
  #loop: Promise<void> | undefined
  #wake: (() => void) | undefined
  #isWoken = false
  /** Whether the queue has entries that another process may release, or want to be retried. */
  #isWaiting = false
  /** Whether a change of the queue may be the one that `added` has told of. */
  #hasAdditions = false

  /** @throws RangeError */
  constructor(options: RelayOptions) {
    const { queue, spool } = options
    this.#options = options
    this.#congestion = new Congestion(options.congestion)
    this.#connections = new Connections(options.connections)
    this.#removals = new Removals({ queue, spool, failed: (error) => this.#failed(error) })
    const removals = this.#removals
    this.#incoming = new Incoming({ options, removeLater: (messageId) => removals.add({ messageId }) })
    this.#outgoing = new Outgoing(options, this.#connections, this.#abort.signal)
    const schedule = resolveSchedule(options.schedule)
    this.#bookkeeping = new Bookkeeping({ options, schedule, incoming: this.#incoming, removals })
    this.#maxDeliveries = options.maxDeliveries ?? 50
  }

  /**
   * Takes a message. When the promise resolves, the message and its entry are durable.
   * @throws StorageError, QueueError, and what reading the message throws. Then nothing is kept
   */
  async submit(mail: NewMail): Promise<void> {
    await this.#incoming.submit(mail)
    this.wake()
  }

  /** Begins to send. */
  start(): void {
    this.#loop ??= this.#run()
  }

  /**
   * Sends what is due, for a caller that has an alarm in place of a process that runs all the time. Such a caller does not call `start`.
   * Resolves when nothing is due and no delivery is on its way, or after this time: then deliveries go on.
   * @returns when to call again; undefined if nothing waits
   * @throws QueueError
   */
  async sendDue(maxMs: number): Promise<number | undefined> {
    const end = Date.now() + maxMs
    for (;;) {
      this.#isWoken = false
      const now = Date.now()
      if (now >= end) return now
      const sleepMs = await this.#claim()
      if (sleepMs > 0 && this.#running.size === 0) {
        const nextAt = await this.#nextAt(now)
        if (!this.#isWoken) return nextAt
      } else if (sleepMs > 0) await this.#sleep(Math.min(sleepMs, end - now))
    }
  }

  /** Looks at the queue now, because another thread of this server has added entries. */
  added(): void {
    this.#hasAdditions = true
    this.wake()
  }

  /** Looks at the queue now, because something has changed there. */
  wake(): void {
    this.#isWoken = true
    this.#wake?.()
  }

  /** Ends the rests of destinations that wanted less mail, because somebody knows more of them. */
  endRests(): void {
    this.#congestion.endRests(Date.now())
    this.wake()
  }

  /** Stops: begins no delivery, and gives those that run this time to end. */
  async stop(graceMs: number = 30_000): Promise<void> {
    this.#stopping.abort()
    this.wake()
    const timer = setTimeout(() => this.#abort.abort(new Error('the relay stops')), graceMs)
    await this.#loop
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    clearTimeout(timer)
    this.#connections.close()
    await this.#removals.end()
  }

  async #run(): Promise<void> {
    const tidied = this.tidy().catch((error: unknown) => this.#failed(error))
    while (!this.#stopping.signal.aborted) {
      this.#isWoken = false
      let sleepMs: number
      try {
        // Otherwise the sleep would take it for a change by an administrator.
        if (this.#hasAdditions) await this.#options.queue.changed?.()
        this.#hasAdditions = false
        sleepMs = await this.#claim()
      } catch (error) {
        this.#failed(error)
        sleepMs = FAILED_SLEEP_MS
      }
      if (sleepMs > 0) await this.#sleep(sleepMs)
    }
    await tidied
  }

  /** Claims what is due and begins to deliver it. Returns how long nothing will be due. */
  async #claim(): Promise<number> {
    const { queue } = this.#options
    const free = this.#maxDeliveries - this.#running.size
    if (free <= 0) return MAX_SLEEP_MS
    const now = Date.now()
    const claims = await queue.claim({
      now,
      max: free,
      leaseMs: LEASE_MS,
      maxPerDestination: (destination) => this.#congestion.placesOf(destination, now),
    })
    for (const claim of claims) {
      this.#congestion.begin(claim.destination, now)
      const running: Promise<void> = this.#deliver(claim).finally(() => {
        this.#running.delete(running)
        this.wake()
      })
      this.#running.add(running)
    }
    if (claims.length > 0) return this.#running.size < this.#maxDeliveries ? 0 : MAX_SLEEP_MS
    const nextAt = await this.#nextAt(now)
    this.#isWaiting = nextAt !== undefined || (await queue.list({ limit: 1 })).entries.length > 0
    return Math.min(MAX_SLEEP_MS, Math.max(1, (nextAt ?? Infinity) - now))
  }

  /** Returns when something may be claimed that cannot be claimed now; undefined if nothing waits, or only for a delivery to end. */
  async #nextAt(now: number): Promise<number | undefined> {
    const dueAt = await this.#options.queue.nextDueAt()
    // What is due and was not claimed waits for a place of its destination: for the end of a rest, or of a delivery, which wakes.
    return dueAt === undefined || dueAt > now ? dueAt : this.#congestion.nextAt(now)
  }

  /** Removes what a crash has left: entries that are finished, and messages without an entry. `start` calls it first. */
  tidy(): Promise<void> {
    const { queue, spool, orphanAgeMs = ORPHAN_AGE_MS } = this.#options
    return removeLeftovers({
      queue,
      spool,
      isArriving: (messageId) => this.#incoming.has(messageId),
      before: new Date(orphanAgeMs === 0 ? this.#madeAt : Date.now() - orphanAgeMs),
      unfinishedBefore: new Date(this.#madeAt - orphanAgeMs),
      signal: this.#stopping.signal,
    })
  }

  /** Sleeps until the time is over, somebody wakes the relay, or another process has changed the queue. */
  async #sleep(ms: number): Promise<void> {
    const stepMs = this.#isWaiting && this.#options.queue.changed !== undefined ? LOOK_MS : ms
    for (let leftMs = ms; leftMs > 0 && !this.#isWoken; leftMs -= stepMs) {
      await this.#pause(Math.min(leftMs, stepMs))
      if (this.#isWoken || !(await this.#hasChanged())) continue
      // An administrator who retries a message knows more of its destination than its last answer says.
      this.#congestion.endRests(Date.now())
      return
    }
  }

  async #hasChanged(): Promise<boolean> {
    try {
      return (await this.#options.queue.changed?.()) === true
    } catch {
      // The next claim fails too, and that is reported.
      return false
    }
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = undefined
  }

  /** Never rejects. */
  async #deliver(claim: Claim): Promise<void> {
    const { queue } = this.#options
    try {
      const tried = await this.#outgoing.attempt(claim)
      if (tried === 'stopped') return await queue.release([claim])
      const now = Date.now()
      if (tried.learnt === 'succeeded') this.#congestion.succeeded(claim.destination)
      else if (tried.learnt === 'refused') this.#congestion.refused(claim.destination, now)
      await this.#settle(claim, tried, now)
    } catch (error) {
      this.#failed(error)
      if (Spool.isMissing(error) && (await this.#giveUp(claim))) return
      // The lease would keep the delivery for an hour.
      await queue.release([claim]).catch((failure: unknown) => this.#failed(failure))
      this.#congestion.refused(claim.destination, Date.now())
    }
  }

  /**
   * Records the results. If the queue or the spool fails, it tries again until the relay stops, and meanwhile the delivery keeps its place:
   * without a record, the message would be sent again.
   */
  async #settle(claim: Claim, tried: Attempt, now: number): Promise<void> {
    for (;;) {
      try {
        return await this.#bookkeeping.settle(claim, tried, now)
      } catch (error) {
        const isPassing = isStorageError(error)
          ? !Spool.isMissing(error)
          : PASSING.some((code) => isQueueError(error, code))
        if (!isPassing || this.#stopping.signal.aborted) throw error
        this.#failed(error)
        await pause(FAILED_SLEEP_MS, this.#stopping.signal)
      }
    }
  }

  /** Returns whether the queue has recorded it. */
  async #giveUp(claim: Claim): Promise<boolean> {
    try {
      await this.#bookkeeping.giveUp(claim)
      return true
    } catch (error) {
      this.#failed(error)
      return false
    }
  }

  #failed(error: unknown): void {
    this.#options.events?.failed?.(error)
  }
}

/** Waits until the time is over or the signal is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
