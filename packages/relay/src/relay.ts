/**
 * Sends mail on. Takes messages, keeps them with their entry in the queue, and hands each to the next server until it is delivered or
 * given up. The sender gets reports.
 *
 * A message is durable before its entry, and the entry before `submit` resolves. A result is durable before the message is removed. So
 * a crash at any time loses nothing. It sends a message twice only if a server took it and the result was not yet recorded.
 */
import { attempt, type Attempt, type AttemptDeps, type Mail, type Result } from './delivery/attempt.ts'
import { Congestion } from './delivery/congestion.ts'
import { Connections } from './delivery/connections.ts'
import type { Route, Router } from './delivery/hop.ts'
import { envelopeOf, expired, joined, onTop } from './delivery/mail.ts'
import { octetFacts } from './delivery/octets.ts'
import { settlingOf } from './delivery/settling.ts'
import { type HandedOver, type KeptHere, LOCAL, type NewMail, type RelayOptions } from './options.ts'
import type { NewEntry, QueueEnvelope } from './queue/entry.ts'
import type { Claim, RecipientResult, Settled } from './queue/queue.ts'
import { type DueReport, makeReport } from './report/index.ts'
import { expiryOf, type RetrySchedule, resolveSchedule } from './schedule.ts'
import { type Pieces, Spool } from './spool.ts'
import { entryOf, submit } from './submission.ts'

const LEASE_MS = 3_600_000
/** The longest sleep, so that a clock that jumps is noticed. */
const MAX_SLEEP_MS = 60_000
/** While something waits, the relay looks so often whether another process has changed the queue. */
const LOOK_MS = 1_000
/** After a failure of the queue, the relay waits this long. */
const FAILED_SLEEP_MS = 5_000
/** A message gets its entry within this time. */
const ORPHAN_AGE_MS = 3_600_000

export class Relay {
  readonly #options: RelayOptions
  readonly #schedule: RetrySchedule
  readonly #congestion: Congestion
  readonly #connections: Connections
  readonly #maxDeliveries: number
  readonly #abort = new AbortController()
  readonly #running = new Set<Promise<void>>()
  /** Messages that get their entry now. */
  readonly #arriving = new Set<string>()
  readonly #madeAt = Date.now()
  #isStopping = false
  #loop: Promise<void> | undefined
  #wake: (() => void) | undefined
  #isWoken = false
  /** Whether the queue has entries that another process may release, or want to be retried. */
  #isWaiting = false

  /** @throws RangeError */
  constructor(options: RelayOptions) {
    this.#options = options
    this.#schedule = resolveSchedule(options.schedule)
    this.#congestion = new Congestion(options.congestion)
    this.#connections = new Connections(options.connections)
    this.#maxDeliveries = options.maxDeliveries ?? 50
  }

  /**
   * Takes a message. When the promise resolves, the message and its entry are durable.
   * @throws StorageError, QueueError, and what reading the message throws. Then nothing is kept
   */
  async submit(mail: NewMail): Promise<void> {
    await submit(mail, this.#options, this.#arriving, (error) => this.#failed(error))
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

  /** Looks at the queue now, because something has changed there. */
  wake(): void {
    this.#isWoken = true
    this.#wake?.()
  }

  /** Stops: begins no delivery, and gives those that run this time to end. */
  async stop(graceMs: number = 30_000): Promise<void> {
    this.#isStopping = true
    this.wake()
    const timer = setTimeout(() => this.#abort.abort(new Error('the relay stops')), graceMs)
    await this.#loop
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    clearTimeout(timer)
    this.#connections.close()
  }

  async #run(): Promise<void> {
    await this.tidy().catch((error: unknown) => this.#failed(error))
    while (!this.#isStopping) {
      this.#isWoken = false
      let sleepMs: number
      try {
        sleepMs = await this.#claim()
      } catch (error) {
        this.#failed(error)
        sleepMs = FAILED_SLEEP_MS
      }
      if (sleepMs > 0) await this.#sleep(sleepMs)
    }
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
  async tidy(): Promise<void> {
    const { queue, spool, orphanAgeMs = ORPHAN_AGE_MS } = this.#options
    let cursor: string | undefined
    do {
      const page = await queue.list({ state: 'finished', limit: 1_000, ...(cursor !== undefined && { cursor }) })
      const done = page.entries.filter(({ deliveries }) => deliveries.every(({ state }) => state === 'finished'))
      await queue.remove(done.map(({ id }) => id))
      cursor = page.cursor
    } while (cursor !== undefined)
    // Asked in this order: a message that is not arriving any more has its entry, if it gets one.
    const isNeeded = async (id: string): Promise<boolean> =>
      this.#arriving.has(id) || (await queue.list({ messageId: id, limit: 1 })).entries.length > 0
    await spool.sweep(isNeeded, new Date(Date.now() - orphanAgeMs))
    await spool.sweepUnfinished(new Date(this.#madeAt - orphanAgeMs))
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
    try {
      const tried = await this.#attempt(claim)
      if (tried === 'stopped') return await this.#options.queue.release([claim])
      const now = Date.now()
      if (tried.learnt === 'succeeded') this.#congestion.succeeded(claim.destination)
      else if (tried.learnt === 'refused') this.#congestion.refused(claim.destination, now)
      await this.#settle(claim, tried, now)
    } catch (error) {
      this.#failed(error)
      if (Spool.isMissing(error) && (await this.#giveUp(claim))) return
      // The lease would keep the delivery for an hour.
      await this.#options.queue.release([claim]).catch((failure: unknown) => this.#failed(failure))
      this.#congestion.refused(claim.destination, Date.now())
    }
  }

  /** Fails a delivery whose message is gone. Its sender cannot be told, because a report shows the message. */
  async #giveUp(claim: Claim): Promise<boolean> {
    const { queue } = this.#options
    const reply = { at: Date.now(), code: 0, enhancedCode: '5.3.0', text: 'the message is not in the spool', host: '' }
    const results = claim.recipients.map(({ index }): RecipientResult => ({ index, state: 'failed', reply }))
    try {
      const [settled] = await queue.settle([{ claim, results }])
      this.#options.events?.attempted?.(claim, results, undefined)
      if (settled?.isFinished === true) await queue.remove([claim.id])
      return true
    } catch (error) {
      this.#failed(error)
      return false
    }
  }

  async #attempt(claim: Claim): Promise<Attempt | 'stopped'> {
    const expiry = expiryOf(claim.envelope, Date.now())
    if (expiry !== undefined) return expired(claim)
    if (claim.destination === LOCAL) return this.#keepHere(claim)
    const { router, spool, sign, events } = this.#options
    const take = this.#options.handOver?.(claim.destination)
    if (take !== undefined) return this.#handOver(claim, take)
    const route = await this.#route(router, claim)
    const signal = this.#abort.signal
    const deps: AttemptDeps = {
      connections: this.#connections,
      connect: (hop, isInClear, stopped) => this.#options.connect(hop, isInClear, stopped),
      hopFailed: (hop, error) => events?.hopFailed?.(hop, error),
    }
    const open = (): Pieces => spool.open(claim.messageId)
    // Signed once for all hops and transactions of the attempt.
    const top = 'hops' in route ? ((await sign?.(open, claim)) ?? NOTHING) : NOTHING
    const results: Attempt[] = []
    const { forwardedBy } = claim.envelope
    const written = claim.envelope.reversePath
    const reversePath =
      forwardedBy === undefined ? written : (this.#options.rewriteSender?.(written, forwardedBy) ?? written)
    const { maxRecipients = 100 } = this.#options
    for (let at = 0; at < claim.recipients.length; at += maxRecipients) {
      const mail: Mail = {
        envelope: { ...envelopeOf(claim, at, at + maxRecipients, top.length), reversePath },
        open: () => onTop(top, open()),
        facts: () => octetFacts(open()),
      }
      const tried = await attempt(route, mail, deps, signal)
      if (signal.aborted && !tried.mayBeAccepted && results.length === 0) return 'stopped'
      results.push(tried)
    }
    return joined(results)
  }

  /** Keeps a message for recipients of this server. */
  async #keepHere({ envelope, messageId, recipients }: Claim): Promise<Attempt> {
    const { hostname, keepHere, spool } = this.#options
    const addresses = recipients.map(({ address }) => address)
    const kept = await keepHere?.({ envelope, addresses, open: () => spool.open(messageId) })
    const results = addresses.map((_, at): Result => {
      const one = kept?.[at] ?? { state: 'failed', code: 550, enhancedCode: '5.1.1', text: 'no such mailbox here' }
      return { ...one, host: hostname, passesNotify: false }
    })
    return { results, learnt: 'none', mayBeAccepted: false }
  }

  async #handOver(
    claim: Claim,
    take: (mail: HandedOver) => Promise<readonly KeptHere[]>,
  ): Promise<Attempt | 'stopped'> {
    const { envelope, messageId, recipients } = claim
    const { signal } = this.#abort
    const open = (): Pieces => this.#options.spool.open(messageId)
    const results = await take({ id: messageId, envelope, recipients, signal, open })
    if (signal.aborted && results.every(({ state }) => state === 'temporary')) return 'stopped'
    return {
      results: results.map((one): Result => ({ ...one, host: '', passesNotify: false })),
      learnt: 'none',
      mayBeAccepted: false,
    }
  }

  async #route(router: Router, { destination, envelope }: Claim): Promise<Route> {
    return router.route(destination, { requireTls: envelope.requireTls === true })
  }

  /** Records the results with the reports that they make due, and then removes what nobody needs any more. */
  async #settle(claim: Claim, tried: Attempt, now: number): Promise<void> {
    const { queue, spool, events } = this.#options
    if (tried.mayBeAccepted) events?.unanswered?.(claim)
    const { results, dueAt, reports } = settlingOf(claim, tried, this.#schedule, now, Math.random())
    const added: NewEntry[] = []
    let settled: Settled | undefined
    try {
      for (const report of reports) added.push(await this.#report(claim, report, now))
      ;[settled] = await queue.settle([
        { claim, results, ...(dueAt !== undefined && { dueAt }), ...(added.length > 0 && { add: added }) },
      ])
    } finally {
      for (const { messageId } of added) this.#arriving.delete(messageId)
    }
    events?.attempted?.(claim, results, dueAt)
    if (settled?.status === 'gone') for (const { messageId } of added) await spool.remove(messageId)
    else reports.forEach((report, at) => events?.reported?.(claim, report, added[at]?.id ?? ''))
    if (settled?.isFinished !== true) return
    await queue.remove([claim.id])
    await spool.remove(claim.messageId)
  }

  /** Writes a report to the spool. Returns its entry. */
  async #report(claim: Claim, { kind, recipients }: DueReport, now: number): Promise<NewEntry> {
    const { hostname, makeId, spool } = this.#options
    const id = makeId()
    const report = await makeReport({
      kind,
      id,
      now,
      hostname,
      message: claim,
      recipients,
      read: () => spool.open(claim.messageId),
    })
    this.#arriving.add(id)
    const size = await spool.save(id, report.content).catch((error: unknown) => {
      this.#arriving.delete(id)
      throw error
    })
    const envelope: QueueEnvelope = {
      reversePath: '',
      body: report.body,
      smtpUtf8: report.smtpUtf8,
      size,
      ...(report.requireTls && { requireTls: true as const }),
    }
    return entryOf(id, envelope, [{ address: report.forwardPath, notify: report.notify }], this.#options)
  }

  #failed(error: unknown): void {
    this.#options.events?.failed?.(error)
  }
}

const NOTHING = new Uint8Array(0)
