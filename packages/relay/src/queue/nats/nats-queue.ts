/** A queue in a stream of NATS JetStream, which many processes share. */
import { checkList, checkRange, checkSettlements, checkTime, MAX_ENTRIES, prepareEntries } from '../checks.ts'
import type { NewEntry, QueueEntry } from '../entry.ts'
import { QueueError } from '../error.ts'
import { isWanted } from '../page.ts'
import type {
  Claim,
  Claimed,
  ClaimOptions,
  ListQueueOptions,
  Queue,
  QueuePage,
  QueueStats,
  QueueStatsOptions,
  Settled,
  Settlement,
} from '../queue.ts'
import { Additions } from './additions.ts'
import { managed, without } from './changes.ts'
import { Claims } from './claims.ts'
import { countAll, entriesBehind } from './counting.ts'
import type { KnownEntry } from './known.ts'
import type { Mirror } from './mirror.ts'
import { entryOf, type StoredDelivery, type StoredEntry } from './record.ts'
import type { Records } from './table.ts'
import { settleAll } from './settling.ts'
import { together } from './together.ts'

export interface NatsQueueDeps {
  readonly mirror: Mirror
  readonly records: Records
  /** Names the queue in messages. */
  readonly name: string
  readonly maxEntries: number
  /** The time in the stream after which the leases of a process that died end. */
  readonly maxLeaseMs: number
  /** Returns whether an administrator has changed the queue since the last call. */
  readonly wasManaged: () => boolean
  /** Returns what was found in the stream that is no entry of a queue, once. */
  readonly nextComplaint: () => QueueError | undefined
  /** Returns why a record of the stream cannot be read, if there is one. */
  readonly unreadable: () => QueueError | undefined
  /** Resolves when this process knows the whole stream. Rejects if the server is away for too long. */
  readonly ready: () => Promise<unknown>
  /** Closes the connection. */
  readonly closed: () => Promise<void>
}

/** How long `close` waits for calls on their way. */
const CLOSE_MS = 10_000

export class NatsQueue implements Queue {
  readonly #deps: NatsQueueDeps
  readonly #mirror: Mirror
  readonly #records: Records
  readonly #additions: Additions
  readonly #claims: Claims
  readonly #running = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(deps: NatsQueueDeps) {
    this.#deps = deps
    this.#mirror = deps.mirror
    this.#records = deps.records
    this.#additions = new Additions(deps)
    this.#claims = new Claims(deps)
  }

  add(entries: readonly NewEntry[]): Promise<void> {
    return this.#run(() => this.#additions.add(prepareEntries(entries)))
  }

  claim(options: ClaimOptions): Promise<readonly Claim[]> {
    return this.#run(() => {
      const complaint = this.#deps.nextComplaint()
      if (complaint !== undefined) throw complaint
      return this.#claims.claim(options)
    })
  }

  renew(claims: readonly Claimed[], leaseEndsAt: number): Promise<readonly Claimed[]> {
    return this.#run(() => {
      checkTime(leaseEndsAt, 'leaseEndsAt')
      return this.#claims.renew(claims, leaseEndsAt)
    })
  }

  settle(settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    return this.#run(async () => {
      checkSettlements(settlements)
      const prepared = settlements.map((settlement, at) => ({
        settlement,
        added: prepareEntries(settlement.add ?? [], { field: `settlements[${at}].add` }),
      }))
      const settled = await settleAll(prepared, this.#deps, this.#additions)
      this.#claims.settled(settlements.map(({ claim }) => claim))
      return settled
    })
  }

  release(claims: readonly Claimed[]): Promise<void> {
    return this.#run(() => this.#claims.release(claims))
  }

  nextDueAt(): Promise<number | undefined> {
    return this.#run(async () => {
      const { deliveries, leases } = this.#mirror
      for (const { number, dueAt } of deliveries.due()) if (!leases.has(number)) return dueAt
      const waiting = deliveries.waiting.find(({ number }) => !leases.has(number))?.dueAt ?? Infinity
      // The lease of another process, which may have died.
      const next = Math.min(waiting, this.#mirror.firstForeignEnd())
      return next === Infinity ? undefined : next
    })
  }

  list(options: ListQueueOptions = {}): Promise<QueuePage> {
    return this.#run(async () => {
      const { limit, after } = checkList(options)
      await this.#deps.ready()
      const found: KnownEntry[] = []
      let isMore = false
      for await (const entry of entriesBehind(this.#mirror, after, options)) {
        isMore = found.length === limit
        if (isMore) break
        found.push(entry)
      }
      // It may be the entry of this message, which must not pass for one without an entry.
      const unreadable = options.messageId === undefined || found.length > 0 ? undefined : this.#deps.unreadable()
      if (unreadable !== undefined) throw unreadable
      const entries = (await together(found, (entry) => this.#read(entry))).flatMap((entry) => entry ?? [])
      const page = { entries: entries.filter((entry) => isWanted(entry, options)) }
      const last = found.at(-1)
      return isMore && last !== undefined ? { ...page, cursor: String(last.order) } : page
    })
  }

  get(id: string): Promise<QueueEntry | undefined> {
    return this.#run(async () => {
      await this.#deps.ready()
      const known = this.#mirror.byId(id)
      return known && this.#read(known)
    })
  }

  /** Reads an entry, with the states that this process knows better: a delivery whose time has come is due. */
  async #read(known: KnownEntry): Promise<QueueEntry | undefined> {
    const stored = (await this.#records.read(known.record.name))?.find(({ id }) => id === known.id)
    if (stored === undefined) return undefined
    const { deliveries, ...entry } = entryOf(stored)
    return {
      ...entry,
      deliveries: deliveries.map((delivery, index) =>
        delivery.state === 'waiting' && known.deliveries[index]?.state === 'due'
          ? { ...delivery, state: 'due' }
          : delivery,
      ),
    }
  }

  hold(ids: readonly string[]): Promise<number> {
    return this.#manage(ids, (delivery) => (isUnheld(delivery) ? { ...delivery, state: 'held' } : delivery))
  }

  unhold(ids: readonly string[]): Promise<number> {
    return this.#manage(ids, (delivery) => (delivery.state === 'held' ? { ...delivery, state: 'waiting' } : delivery))
  }

  retry(ids: readonly string[], now: number): Promise<number> {
    return this.#manage(
      ids,
      (delivery, { holdUntil }) =>
        isUnheld(delivery) ? { ...delivery, dueAt: Math.min(delivery.dueAt, Math.max(now, holdUntil)) } : delivery,
      () => checkTime(now, 'now'),
    )
  }

  remove(ids: readonly string[]): Promise<number> {
    return this.#eachRecord(ids, (name, wanted) => this.#records.change(name, (entries) => without(entries, wanted)))
  }

  #manage(
    ids: readonly string[],
    change: (delivery: StoredDelivery, entry: StoredEntry) => StoredDelivery,
    check: () => void = () => {},
  ): Promise<number> {
    return this.#eachRecord(
      ids,
      (name, wanted) => this.#records.change(name, (entries) => managed(entries, wanted, change), { isManaged: true }),
      check,
    )
  }

  #eachRecord(
    ids: readonly string[],
    work: (name: string, wanted: ReadonlySet<string>) => Promise<number>,
    check: () => void = () => {},
  ): Promise<number> {
    return this.#run(async () => {
      check()
      checkRange(ids.length, 'ids', 0, MAX_ENTRIES)
      await this.#deps.ready()
      const wanted = new Set(ids)
      const names = new Set([...wanted].flatMap((id) => this.#mirror.byId(id)?.record.name ?? []))
      const counts = await together([...names], (name) => work(name, wanted))
      return counts.reduce((sum, count) => sum + count, 0)
    })
  }

  stats({ maxDestinations = 20 }: QueueStatsOptions = {}): Promise<QueueStats> {
    return this.#run(async () => {
      checkRange(maxDestinations, 'maxDestinations', 0, 1_000)
      await this.#deps.ready()
      return countAll(this.#mirror, maxDestinations)
    })
  }

  async changed(): Promise<boolean> {
    return this.#deps.wasManaged()
  }

  /** The server is back: moves the ends of the leases, before others take them for those of a dead process. */
  reconnected(): void {
    if (this.#closing === undefined) void this.#claims.keep()
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    const timer = setTimeout(() => this.#records.close(), CLOSE_MS)
    await Promise.allSettled(this.#running)
    await this.#claims.close()
    clearTimeout(timer)
    this.#records.close()
    await this.#deps.closed()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new QueueError('closed', `the queue ${this.#deps.name} is closed`)
    const running = Promise.resolve().then(work)
    this.#running.add(running)
    const ended = (): void => void this.#running.delete(running)
    running.then(ended, ended)
    return running
  }
}

function isUnheld({ state }: StoredDelivery): boolean {
  return state === 'waiting' || state === 'due'
}
