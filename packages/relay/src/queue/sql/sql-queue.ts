/** A queue in tables of SQLite. */
import {
  checkClaim,
  checkList,
  checkRange,
  checkTime,
  MAX_ENTRIES,
  type PreparedEntry,
  prepareEntries,
} from '../checks.ts'
import type { NewEntry, QueueEntry } from '../entry.ts'
import { QueueError } from '../error.ts'
import { type Delivered, LeasedQueue } from '../leased-queue.ts'
import { isWanted } from '../page.ts'
import type {
  Claim,
  ClaimOptions,
  ListQueueOptions,
  Queue,
  QueuePage,
  QueueStats,
  QueueStatsOptions,
  Settled,
  Settlement,
} from '../queue.ts'
import { Ranking } from '../ranking.ts'
import { DUE, envelopeOf, recipientsOf, Rows, STATES } from './rows.ts'
import { settleOne } from './settling.ts'
import type { Sql, Transactions } from './sql.ts'

/** Deliveries that one claim marks as due. Each costs some 10 µs. */
const MAX_MADE_DUE = 500
/** Entries that `list` reads between two turns of the event loop, and how often it does that for one page. */
const LIST_SLICE = 200
const LIST_SLICES = 50
/** Deliveries that `stats` counts between two turns of the event loop: some 5 ms. */
const COUNT_SLICE = 20_000

export interface SqlQueueDeps {
  readonly sql: Sql
  readonly transactions: Transactions
  /** Names the queue in messages. */
  readonly name: string
  /** False if another process may own the queue. */
  readonly isOwner: boolean
  /** True if other processes may change the queue. */
  readonly isShared: boolean
  /** How many recipients one delivery may have: they are one value of a row. */
  readonly maxTogether: number
  /** Makes the error of a queue of any error. */
  readonly failureOf: (error: unknown) => QueueError
  /** Called once, when nothing is left to do. */
  readonly closed: () => void
}

export class SqlQueue extends LeasedQueue implements Queue {
  readonly #deps: SqlQueueDeps
  readonly #rows: Rows
  readonly #transactions: Transactions
  /** See {@link Queue.changed}. */
  changed?: () => Promise<boolean>
  #closing: Promise<void> | undefined

  constructor(deps: SqlQueueDeps) {
    super()
    this.#deps = deps
    this.#rows = new Rows(deps.sql)
    this.#transactions = deps.transactions
    if (deps.isShared) this.#watch()
  }

  async add(entries: readonly NewEntry[]): Promise<void> {
    const prepared = prepareEntries(entries, { maxTogether: this.#deps.maxTogether })
    if (prepared.length === 0) return
    await this.#transactions.run(rowsOf(prepared), () => prepared.forEach((entry) => this.#rows.insert(entry)))
  }

  async claim(options: ClaimOptions): Promise<readonly Claim[]> {
    checkClaim(options)
    this.#checkOwner()
    const firstWaiting = this.#read(() => this.#rows.firstWaiting(1)[0]?.due_at)
    if (firstWaiting !== undefined && firstWaiting <= options.now)
      await this.#transactions.run(MAX_MADE_DUE, () => this.#rows.makeDue(options.now, MAX_MADE_DUE))
    return this.#read(() => this.lease(this.#rows, options, (number) => this.#delivered(number)))
  }

  #delivered(number: number): Delivered | undefined {
    const row = this.#rows.joined(number)
    if (row?.state !== DUE) return undefined
    const { id, destination, message_id: messageId, queued_at: queuedAt, attempts } = row
    const [envelope, recipients] = [envelopeOf(row), recipientsOf(row, id)]
    return { id, destination, messageId, queuedAt, envelope, attempts, recipients }
  }

  async settle(settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    this.#checkOwner()
    const added = this.addedBy(settlements, this.#deps.maxTogether)
    if (settlements.length === 0) return []
    const settled = await this.#transactions.run(settlements.length + rowsOf(added.flat()), () =>
      settlements.map((settlement, at) => settleOne(this.#rows, this.leases, settlement, added[at] ?? [])),
    )
    for (const { claim } of settlements) this.leases.end(claim)
    return settled
  }

  async nextDueAt(): Promise<number | undefined> {
    return this.#read(() => {
      const limit = this.leases.size + 1
      const isFree = ({ number }: { readonly number: number }): boolean => !this.leases.has(number)
      // A leased delivery that was held and released waits too.
      const next = this.#rows.someDue(limit).find(isFree) ?? this.#rows.firstWaiting(limit).find(isFree)
      return next?.due_at
    })
  }

  async list(options: ListQueueOptions = {}): Promise<QueuePage> {
    const { limit, after: start } = checkList(options)
    const entries: QueueEntry[] = []
    let after = start
    for (let slice = 0; slice < LIST_SLICES; slice++) {
      if (slice > 0) await othersTurn()
      const isOver = this.#read(() => {
        const seqs = this.#rows.seqs(options, after, LIST_SLICE)
        for (const seq of seqs) {
          after = seq
          const entry = this.#rows.entry(seq)
          if (entry !== undefined && isWanted(entry, options)) entries.push(entry)
          if (entries.length === limit) return false
        }
        return seqs.length < LIST_SLICE
      })
      if (isOver) return { entries }
      if (entries.length === limit) break
    }
    return { entries, cursor: String(after) }
  }

  async get(id: string): Promise<QueueEntry | undefined> {
    return this.#read(() => {
      const seq = this.#rows.seqOf(id)
      return seq === undefined ? undefined : this.#rows.entry(seq)
    })
  }

  hold(ids: readonly string[]): Promise<number> {
    return this.#change(ids, (seq) => this.#rows.hold(seq))
  }

  unhold(ids: readonly string[]): Promise<number> {
    return this.#change(ids, (seq) => this.#rows.unhold(seq))
  }

  async retry(ids: readonly string[], now: number): Promise<number> {
    checkTime(now, 'now')
    return this.#change(ids, (seq) => this.#rows.retry(seq, now))
  }

  remove(ids: readonly string[]): Promise<number> {
    return this.#change(ids, (seq) => this.#rows.remove(seq))
  }

  async #change(ids: readonly string[], change: (seq: number) => void): Promise<number> {
    checkRange(ids.length, 'ids', 0, MAX_ENTRIES)
    if (ids.length === 0) return 0
    return this.#transactions.run(ids.length, () => {
      const seqs = [...new Set(ids)].flatMap((id) => this.#rows.seqOf(id) ?? [])
      seqs.forEach(change)
      return seqs.length
    })
  }

  async stats({ maxDestinations = 20 }: QueueStatsOptions = {}): Promise<QueueStats> {
    checkRange(maxDestinations, 'maxDestinations', 0, 1_000)
    const ranking = new Ranking(maxDestinations)
    const deliveries = { waiting: 0, due: 0, held: 0, finished: 0 }
    let current = { destination: '', count: 0 }
    let at: readonly [string, number] | undefined = ['', 0]
    while (at !== undefined) {
      const counts = this.#counts(at)
      for (const { destination, state, count } of counts) {
        deliveries[STATES[state] ?? 'held'] += count
        if (destination !== current.destination) {
          ranking.add(current.destination, current.count)
          current = { destination, count: 0 }
        }
        if (STATES[state] !== 'finished') current.count += count
      }
      const last = counts.at(-1)
      at = last && [last.destination, last.last]
      await othersTurn()
    }
    ranking.add(current.destination, current.count)
    return this.#read(() => {
      const oldestQueuedAt = this.#rows.oldestQueuedAt()
      return {
        entries: this.#rows.countEntries(),
        deliveries,
        leased: this.leases.size,
        ...(oldestQueuedAt !== undefined && { oldestQueuedAt }),
        ...ranking.result(),
      }
    })
  }

  #watch(): void {
    let version = this.#rows.dataVersion()
    this.changed = async () => {
      const before = version
      version = this.#read(() => this.#rows.dataVersion())
      return version !== before
    }
  }

  #counts(at: readonly [string, number]): ReturnType<Rows['counts']> {
    return this.#read(() => this.#rows.counts(at, COUNT_SLICE))
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    await this.#transactions.close()
    this.leases.clear()
    this.#deps.closed()
  }

  #read<T>(query: () => T): T {
    this.checkOpen()
    try {
      return query()
    } catch (error) {
      throw this.#deps.failureOf(error)
    }
  }

  protected override checkOpen(): void {
    if (this.#closing !== undefined) throw closedError(this.#deps.name)
  }

  #checkOwner(): void {
    this.checkOpen()
    const { isOwner, name } = this.#deps
    if (!isOwner) throw new QueueError('not-owner', `the queue ${name}: only its owner sends mail`)
  }
}

/** Returns about how many rows entries are. */
function rowsOf(entries: readonly PreparedEntry[]): number {
  return entries.reduce((sum, { deliveries }) => sum + 1 + deliveries.length, 0)
}

/** Lets the event loop do something else. */
function othersTurn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0)
  })
}

export function closedError(name: string): QueueError {
  return new QueueError('closed', `the queue ${name} is closed`)
}
