/** A queue in memory. It answers as the one in a file does, except that it is lost when the process ends. */
import {
  checkClaim,
  checkList,
  checkRange,
  checkTime,
  MAX_ENTRIES,
  type PreparedEntry,
  prepareEntries,
} from '../checks.ts'
import type { DeliveryState, NewEntry, QueueDelivery, QueueEntry } from '../entry.ts'
import { QueueError } from '../error.ts'
import { type Delivered, LeasedQueue } from '../leased-queue.ts'
import { numberOf } from '../leases.ts'
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
import { isWanted } from '../page.ts'
import { Ranking } from '../ranking.ts'
import { afterResults, isPending } from '../results.ts'
import { Deliveries, type HeldDelivery, type HeldEntry } from './deliveries.ts'

export class MemoryQueue extends LeasedQueue implements Queue {
  readonly #maxEntries: number
  readonly #byId = new Map<string, HeldEntry>()
  readonly #deliveries = new Deliveries<HeldDelivery>()
  #entriesMade = 0
  #deliveriesMade = 0
  #isClosed = false

  constructor(maxEntries: number) {
    super()
    this.#maxEntries = maxEntries
  }

  async add(entries: readonly NewEntry[]): Promise<void> {
    this.checkOpen()
    const added = prepareEntries(entries)
    this.#checkRoom(added)
    for (const entry of added) this.#insert(entry)
  }

  #checkRoom(added: readonly PreparedEntry[]): void {
    const ids = new Set(added.map(({ id }) => id).filter((id) => !this.#byId.has(id)))
    if (this.#byId.size + ids.size > this.#maxEntries)
      throw new QueueError('full', `the queue in memory is full: ${this.#maxEntries} entries`)
  }

  #insert({ id, messageId, queuedAt, envelope, priority, holdUntil, deliveries }: PreparedEntry): void {
    if (this.#byId.has(id)) return
    const seq = ++this.#entriesMade
    const entry: HeldEntry = { id, messageId, queuedAt, envelope, holdUntil, seq, deliveries: [] }
    this.#byId.set(id, entry)
    const state = holdUntil === 0 ? 'due' : 'waiting'
    const dueAt = Math.max(queuedAt, holdUntil)
    for (const { destination, recipients } of deliveries) {
      const number = ++this.#deliveriesMade
      const delivery = { number, entry, destination, priority, state, dueAt, attempts: 0, recipients } as const
      entry.deliveries.push({ ...delivery })
      this.#deliveries.add(entry.deliveries.at(-1) as HeldDelivery)
    }
  }

  async claim(options: ClaimOptions): Promise<readonly Claim[]> {
    checkClaim(options)
    this.checkOpen()
    this.#deliveries.makeDue(options.now)
    return this.lease(this.#deliveries, options, (number) => this.#delivered(number))
  }

  #delivered(number: number): Delivered | undefined {
    const delivery = this.#deliveries.get(number)
    if (delivery === undefined) return undefined
    const { entry, destination, attempts, recipients } = delivery
    const { id, messageId, queuedAt, envelope } = entry
    return { id, destination, messageId, queuedAt, envelope, attempts, recipients }
  }

  async settle(settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    this.checkOpen()
    const added = this.addedBy(settlements)
    this.#checkRoom(added.flat())
    // Nothing is changed if one of them is wrong.
    for (const settlement of settlements) this.#afterwards(settlement)
    const settled = settlements.map((settlement, at) => this.#settle(settlement, added[at] ?? []))
    for (const { claim } of settlements) this.leases.end(claim)
    return settled
  }

  #afterwards(settlement: Settlement): HeldDelivery['recipients'] {
    const delivery = this.#find(settlement.claim)
    if (delivery === undefined) return []
    return afterResults(delivery.recipients, settlement, this.leases.find(settlement.claim) === undefined)
  }

  #settle(settlement: Settlement, added: readonly PreparedEntry[]): Settled {
    const delivery = this.#find(settlement.claim)
    if (delivery === undefined) return { status: 'gone', isFinished: false }
    const isLate = this.leases.find(settlement.claim) === undefined
    const { recipients: before, state, dueAt, attempts, entry } = delivery
    const recipients = this.#afterwards(settlement)
    const hasChanged = recipients.some((recipient, at) => recipient !== before[at])
    const isLeft = recipients.some(isPending)
    if (hasChanged || !isLate) {
      const waits: DeliveryState = isLate || state === 'held' ? state : 'waiting'
      this.#deliveries.change(delivery, {
        state: isLeft ? waits : 'finished',
        dueAt: isLate || !isLeft ? dueAt : (settlement.dueAt ?? dueAt),
        attempts: attempts + (hasChanged ? 1 : 0),
        recipients,
      })
      for (const each of added) this.#insert(each)
    }
    const isFinished = entry.deliveries.every((each) => each.state === 'finished')
    const isRemoved = isFinished && settlement.removeIfFinished === true
    if (isRemoved) this.#remove(entry)
    return { status: isLate ? 'late' : 'settled', isFinished, ...(isRemoved && { isRemoved }) }
  }

  #find(claim: Claimed): HeldDelivery | undefined {
    const delivery = this.#deliveries.get(numberOf(claim))
    return delivery?.entry.id === claim.id ? delivery : undefined
  }

  async nextDueAt(): Promise<number | undefined> {
    this.checkOpen()
    for (const due of this.#deliveries.due()) if (!this.leases.has(due.number)) return due.dueAt
    return this.#deliveries.waiting.find(({ number }) => !this.leases.has(number))?.dueAt
  }

  async list(options: ListQueueOptions = {}): Promise<QueuePage> {
    this.checkOpen()
    const { limit, after } = checkList(options)
    const entries: QueueEntry[] = []
    for (const held of this.#byId.values()) {
      const entry = held.seq > after ? entryOf(held) : undefined
      if (entry === undefined || !isWanted(entry, options)) continue
      entries.push(entry)
      if (entries.length === limit) return { entries, cursor: String(held.seq) }
    }
    return { entries }
  }

  async get(id: string): Promise<QueueEntry | undefined> {
    this.checkOpen()
    const held = this.#byId.get(id)
    return held && entryOf(held)
  }

  hold(ids: readonly string[]): Promise<number> {
    return this.#change(ids, ['waiting', 'due'], () => ({ state: 'held' }))
  }

  unhold(ids: readonly string[]): Promise<number> {
    return this.#change(ids, ['held'], () => ({ state: 'waiting' }))
  }

  async retry(ids: readonly string[], now: number): Promise<number> {
    checkTime(now, 'now')
    return this.#change(ids, ['waiting'], ({ dueAt, entry }) => ({
      dueAt: Math.min(dueAt, Math.max(now, entry.holdUntil)),
    }))
  }

  async #change(
    ids: readonly string[],
    states: readonly DeliveryState[],
    change: (delivery: HeldDelivery) => Partial<Pick<HeldDelivery, 'state' | 'dueAt'>>,
  ): Promise<number> {
    const entries = this.#entries(ids)
    for (const { deliveries } of entries) {
      for (const delivery of deliveries)
        if (states.includes(delivery.state)) this.#deliveries.change(delivery, change(delivery))
    }
    return entries.length
  }

  async remove(ids: readonly string[]): Promise<number> {
    const entries = this.#entries(ids)
    for (const entry of entries) this.#remove(entry)
    return entries.length
  }

  #remove({ id, deliveries }: HeldEntry): void {
    this.#byId.delete(id)
    for (const delivery of deliveries) this.#deliveries.delete(delivery)
  }

  #entries(ids: readonly string[]): HeldEntry[] {
    this.checkOpen()
    checkRange(ids.length, 'ids', 0, MAX_ENTRIES)
    return [...new Set(ids)].flatMap((id) => this.#byId.get(id) ?? [])
  }

  async stats({ maxDestinations = 20 }: QueueStatsOptions = {}): Promise<QueueStats> {
    this.checkOpen()
    checkRange(maxDestinations, 'maxDestinations', 0, 1_000)
    const counts = new Map<string, number>()
    const deliveries = { waiting: 0, due: 0, held: 0, finished: 0 }
    let oldestQueuedAt: number | undefined
    for (const entry of this.#byId.values()) {
      for (const { destination, state } of entry.deliveries) {
        deliveries[state]++
        if (state === 'finished') continue
        counts.set(destination, (counts.get(destination) ?? 0) + 1)
        oldestQueuedAt ??= entry.queuedAt
      }
    }
    const ranking = new Ranking(maxDestinations)
    for (const [destination, count] of counts) ranking.add(destination, count)
    return {
      entries: this.#byId.size,
      deliveries,
      leased: this.leases.size,
      ...(oldestQueuedAt !== undefined && { oldestQueuedAt }),
      ...ranking.result(),
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.leases.clear()
  }

  protected override checkOpen(): void {
    if (this.#isClosed) throw new QueueError('closed', 'the queue in memory is closed')
  }
}

function entryOf({ id, messageId, queuedAt, envelope, deliveries }: HeldEntry): QueueEntry {
  return { id, messageId, queuedAt, envelope, deliveries: deliveries.map(deliveryOf) }
}

function deliveryOf({ destination, state, dueAt, attempts, recipients }: HeldDelivery): QueueDelivery {
  return { destination, state, dueAt, attempts, recipients }
}
