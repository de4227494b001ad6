/**
 * What this process knows of the stream: which entries there are, which deliveries are due, and who has leased them. It has neither
 * recipients nor senders, so that many entries fit into memory. It may be older than the stream: each change is compared with the stream.
 */
import type { DeliveryState } from '../entry.ts'
import { type Lease, Leases } from '../leases.ts'
import { Deliveries } from '../memory/deliveries.ts'
import { Ordered } from '../memory/ordered.ts'
import type { KnownDelivery, KnownEntry, KnownRecord, OwnLease } from './known.ts'
import { orderOf, type StoredDelivery, type StoredEntry, type StoredLease, type StoredRecord } from './record.ts'

interface Granted {
  readonly lease: Lease
  readonly stored: StoredLease
}

/**
 * The server may have been away, and no process could move the ends of its leases. So when this process is connected again, the others have this
 * time to do that, or to settle.
 */
const MAX_GRACE_MS = 15_000
/** Removed records that are remembered, because messages about them may still be on their way. */
const MAX_GONE = 10_000

export class Mirror {
  readonly #records = new Map<string, KnownRecord>()
  readonly #byId = new Map<string, KnownEntry>()
  /** Only entries whose message has another id. */
  readonly #byMessage = new Map<string, Set<KnownEntry>>()
  readonly #inOrder = new Ordered<Pick<KnownEntry, 'order'>>((one, other) => one.order - other.order)
  readonly #gone = new Map<string, number>()
  readonly #granted = new Map<number, Granted>()
  readonly #claiming = new Set<number>()
  /** Deliveries whose writer has the first turn to claim them. */
  #fresh = new Set<KnownDelivery>()
  readonly #graceMs: number
  #graceEndsAt = 0
  #made = 0
  #reading = 0
  /** Names this process. */
  readonly by: string = crypto.randomUUID()
  readonly deliveries: Deliveries<KnownDelivery> = new Deliveries()
  readonly leases: Leases = new Leases()
  readonly #own = new Map<string, OwnLease>()

  /** @param maxLeaseMs The longest time between two moves of a lease's end */
  constructor(maxLeaseMs: number) {
    this.#graceMs = Math.min(MAX_GRACE_MS, maxLeaseMs)
  }

  /** The entries, in the order in which they were added. */
  get entries(): readonly KnownEntry[] {
    return this.#inOrder.items as readonly KnownEntry[]
  }

  /** Returns the first entry behind this place in the order. */
  behind(order: number): KnownEntry | undefined {
    return this.#inOrder.behind({ order }) as KnownEntry | undefined
  }

  record(name: string): KnownRecord | undefined {
    return this.#records.get(name)
  }

  byId(id: string): KnownEntry | undefined {
    return this.#byId.get(id)
  }

  byMessage(messageId: string): KnownEntry[] {
    const own = this.#byId.get(messageId)
    const others = [...(this.#byMessage.get(messageId) ?? [])]
    const all = own?.messageId === messageId ? [own, ...others] : others
    return all.toSorted((one, other) => one.order - other.order)
  }

  /**
   * Takes a message of the stream. Returns whether it was news.
   * @param isFresh Its writer, another process, has the first turn to claim what is due
   */
  apply(name: string, seq: number, { entries }: StoredRecord, isFresh: boolean = false): boolean {
    const known = this.#records.get(name)
    if (known !== undefined) known.reading = this.#reading
    if ((known?.seq ?? 0) >= seq || (this.#gone.get(name) ?? 0) >= seq) return false
    const record = known ?? { name, seq, entries: [], reading: this.#reading }
    const before = new Map(record.entries.map((entry) => [entry.order, entry]))
    record.seq = seq
    record.entries = entries.map((stored) => {
      const order = orderOf(stored, seq)
      const entry = before.get(order)
      before.delete(order)
      // Nobody changes the number of deliveries, but anybody who may write into the stream could.
      const isSame = entry?.deliveries.length === stored.deliveries.length
      if (entry !== undefined && !isSame) this.#drop(entry)
      if (entry === undefined || !isSame) return this.#insert(record, stored, order, isFresh)
      for (const [index, delivery] of entry.deliveries.entries())
        this.#change(delivery, stored.deliveries[index] as StoredDelivery, isFresh)
      return entry
    })
    for (const entry of before.values()) this.#drop(entry)
    this.#records.set(name, record)
    return true
  }

  /** Forgets a record that was removed when its message was this one. */
  forget(name: string, seq: number): void {
    this.#gone.delete(name)
    this.#gone.set(name, seq)
    if (this.#gone.size > MAX_GONE) this.#gone.delete(this.#gone.keys().next().value ?? '')
    const known = this.#records.get(name)
    if (known === undefined || known.seq > seq) return
    this.#records.delete(name)
    for (const entry of known.entries) this.#drop(entry)
  }

  /** Begins to read the whole stream. */
  beginReading(): void {
    this.#reading++
  }

  /** Ends it: what was not met is gone. */
  endReading(): void {
    this.#graceEndsAt = performance.now() + this.#graceMs
    for (const { name, seq, reading } of this.#records.values()) if (reading !== this.#reading) this.forget(name, seq)
  }

  /** Ends the first turn of other processes. */
  ripen(): void {
    const ripe = [...this.#fresh].filter(({ number, state }) => this.deliveries.get(number) && state === 'held')
    this.#fresh = new Set()
    for (const delivery of ripe) this.deliveries.change(delivery, { state: delivery.stored })
  }

  /** Keeps a delivery from other claims of this process while the lease is written. */
  beginClaim({ number, destination }: KnownDelivery, endsAt: number): void {
    this.#end(number)
    this.#claiming.add(number)
    const stored = { token: '', endsAt }
    this.#granted.set(number, { lease: this.leases.grant(number, destination, endsAt), stored })
  }

  endClaim(delivery: KnownDelivery): void {
    this.#claiming.delete(delivery.number)
    this.#end(delivery.number)
    if (this.deliveries.get(delivery.number) === delivery) this.#lease(delivery)
  }

  /** Says that a lease is one of this process. It is said before the stream has the lease. */
  addOwn(lease: OwnLease): void {
    this.#own.set(lease.token, lease)
  }

  /** Returns the leases of this process that have not ended. */
  own(): OwnLease[] {
    return [...this.#own.values()].filter(({ token, number }) => this.#granted.get(number)?.stored.token === token)
  }

  /** Returns the leases in the stream that this process has written, also those that have ended. */
  written(): OwnLease[] {
    return [...this.#granted].flatMap(([number, { lease, stored }]) => {
      const record = this.deliveries.get(number)?.entry.record.name
      if (record === undefined || !this.#isWritten(stored)) return []
      return [{ token: stored.token, record, number, endsAt: lease.endsAt }]
    })
  }

  #isWritten({ token }: StoredLease): boolean {
    return token.includes(`.${this.by}.`)
  }

  ownLease(token: string): OwnLease | undefined {
    return this.#own.get(token)
  }

  /** Moves the end of a lease of this process. Returns whether its delivery is gone, so that the stream has no lease to move. */
  moveOwn(lease: OwnLease, endsAt: number): boolean {
    const { number } = lease
    lease.endsAt = endsAt
    const granted = this.#granted.get(number)
    if (this.deliveries.get(number) !== undefined || granted === undefined) return false
    const { stored } = granted
    this.#end(number)
    this.#granted.set(number, { lease: this.leases.grant(number, granted.lease.destination, endsAt), stored })
    return true
  }

  /** Ends a lease of this process in memory. Its delivery may be gone. */
  endOwn(token: string): void {
    const own = this.#own.get(token)
    this.#own.delete(token)
    if (own !== undefined && this.#granted.get(own.number)?.stored.token === token) this.#end(own.number)
  }

  /** Ends the leases whose time is over. */
  endBefore(now: number): void {
    const graceMs = this.#graceEndsAt - performance.now()
    if (graceMs > 0) this.#keepForeign(now, now + graceMs)
    this.leases.endBefore(now)
    for (const { token, number } of this.#own.values()) if (!this.leases.has(number)) this.#own.delete(token)
  }

  /** Keeps leases of other processes whose time is over. */
  #keepForeign(now: number, endsAt: number): void {
    for (const [number, { lease, stored }] of this.#granted) {
      if (stored.token === '' || this.#isWritten(stored) || lease.endsAt > now) continue
      this.#end(number)
      this.#granted.set(number, { lease: this.leases.grant(number, lease.destination, endsAt), stored })
    }
  }

  /** Returns when the first lease of another process ends, so that its delivery may be claimed. */
  firstForeignEnd(): number {
    let first = Infinity
    for (const [number, { stored }] of this.#granted) {
      if (stored.token === '' || this.#own.has(stored.token) || !this.leases.has(number)) continue
      const { state, dueAt } = this.deliveries.get(number) ?? {}
      if (dueAt !== undefined && (state === 'due' || state === 'waiting'))
        first = Math.min(first, Math.max(stored.endsAt, dueAt))
    }
    return first
  }

  /** Returns how many deliveries this process has leased. */
  countOwn(): number {
    return this.own().filter(({ number }) => this.leases.has(number)).length
  }

  #insert(
    record: KnownRecord,
    { id, messageId, queuedAt, envelope, deliveries }: StoredEntry,
    order: number,
    isFresh: boolean,
  ): KnownEntry {
    const entry: KnownEntry = { id, messageId, queuedAt, order, record, deliveries: [] }
    const priority = envelope.priority ?? 0
    for (const [index, stored] of deliveries.entries()) {
      const { destination, state, dueAt } = stored
      const delivery = { number: ++this.#made, entry, index, destination, priority, state, dueAt, stored: state }
      entry.deliveries.push({ ...delivery, lease: stored.lease })
      const added = entry.deliveries.at(-1) as KnownDelivery
      added.state = this.#stateOf(added, stored, isFresh)
      this.deliveries.add(added)
      this.#lease(added)
    }
    // The stream may have an id twice only if two processes added it at the same time. The first one counts.
    if (!this.#byId.has(id)) this.#byId.set(id, entry)
    if (messageId !== id) {
      const others = this.#byMessage.get(messageId)
      if (others === undefined) this.#byMessage.set(messageId, new Set([entry]))
      else others.add(entry)
    }
    this.#inOrder.add(entry)
    return entry
  }

  #change(delivery: KnownDelivery, stored: StoredDelivery, isFresh: boolean): void {
    const { dueAt, lease } = stored
    const state = this.#stateOf(delivery, stored, isFresh)
    this.deliveries.change(delivery, { state, dueAt, stored: stored.state, lease })
    this.#lease(delivery)
  }

  #stateOf(before: KnownDelivery, { state, dueAt, lease }: StoredDelivery, isFresh: boolean): DeliveryState {
    this.#fresh.delete(before)
    if (isFresh && state === 'due' && lease === undefined) {
      this.#fresh.add(before)
      return 'held'
    }
    const isDueAlready = state === 'waiting' && before.stored === 'waiting' && before.state === 'due'
    return isDueAlready && before.dueAt === dueAt ? 'due' : state
  }

  /** Makes the leases in memory what the stream has. */
  #lease({ number, destination, lease: stored }: KnownDelivery): void {
    if (this.#claiming.has(number)) return
    const before = this.#granted.get(number)
    const endsAt = this.#own.get(stored?.token ?? '')?.endsAt ?? stored?.endsAt
    if (before?.stored.token === stored?.token && before?.lease.endsAt === endsAt) return
    this.#end(number)
    if (stored === undefined || endsAt === undefined) return
    this.#granted.set(number, { lease: this.leases.grant(number, destination, endsAt), stored })
  }

  #end(number: number): void {
    const granted = this.#granted.get(number)
    if (granted === undefined) return
    this.#granted.delete(number)
    this.leases.end({ id: '', destination: granted.lease.destination, lease: granted.lease.token })
  }

  #drop(entry: KnownEntry): void {
    for (const delivery of entry.deliveries) {
      this.deliveries.delete(delivery)
      this.#fresh.delete(delivery)
      // An attempt of this process goes on, and counts for its destination.
      const isOwn = this.#own.has(delivery.lease?.token ?? '')
      if (!isOwn && !this.#claiming.has(delivery.number)) this.#end(delivery.number)
    }
    if (this.#byId.get(entry.id) === entry) this.#byId.delete(entry.id)
    const others = this.#byMessage.get(entry.messageId)
    if (others?.delete(entry) === true && others.size === 0) this.#byMessage.delete(entry.messageId)
    this.#inOrder.delete(entry)
  }
}
