/** A simple queue that is right by its simplicity. Random calls are made to it and to a real queue, and both must agree. */
import { expect } from 'vitest'
import type { Claim, Queue, RecipientState, Settlement } from '@postern/relay'
import { entry, NOW } from '../../../test/contracts/queue/check.ts'

export type Call =
  | { readonly call: 'add'; readonly id: number; readonly destinations: readonly number[]; readonly heldMs: number }
  | { readonly call: 'claim'; readonly max: number; readonly most: number; readonly leaseMs: number }
  | {
      readonly call: 'settle'
      readonly which: number
      readonly states: readonly RecipientState[]
      readonly waitMs: number
      readonly removes: boolean
    }
  | { readonly call: 'release' | 'renew'; readonly which: number }
  | { readonly call: 'hold' | 'unhold' | 'retry' | 'remove'; readonly id: number }
  | { readonly call: 'wait'; readonly ms: number }
  | { readonly call: 'crash' }

interface Delivery {
  readonly states: RecipientState[]
  dueAt: number
  isHeld: boolean
  lease: string | undefined
  leaseEndsAt: number
}

interface Entry {
  readonly holdUntil: number
  readonly deliveries: Map<string, Delivery>
}

/** What a crash does: closes the queue without a word to it, and opens it again. */
export type Crash = (queue: Queue) => Promise<Queue>

export class Model {
  #queue: Queue
  readonly #crash: Crash | undefined
  readonly #removesFinished: boolean
  readonly #entries = new Map<string, Entry>()
  /** Every claim that the queue has given. */
  readonly #claims: Claim[] = []
  readonly #claimed = new Map<string, { readonly id: string; readonly delivery: Delivery }>()
  /** Attempts on their way whose entry is removed, by lease. They still count for their destination. */
  readonly #gone = new Map<string, { readonly destination: string; leaseEndsAt: number }>()
  #now = NOW

  /** @param removesFinished False for a queue that leaves it to the caller to remove what is finished */
  constructor(queue: Queue, crash?: Crash, removesFinished: boolean = true) {
    this.#queue = queue
    this.#crash = crash
    this.#removesFinished = removesFinished
  }

  get queue(): Queue {
    return this.#queue
  }

  /** Makes the calls, and compares after each. Then sends all that is left, and expects that nothing was lost. */
  async play(calls: readonly Call[]): Promise<void> {
    for (const call of calls) {
      await this.#make(call)
      await this.#compareTime()
    }
    await this.#compareAll()
    await this.#sendAll()
  }

  #make(call: Call): Promise<unknown> {
    switch (call.call) {
      case 'add':
        return this.#add(call)
      case 'claim':
        return this.#claim(call)
      case 'settle':
        return this.#settle(call)
      case 'release':
      case 'renew':
        return this.#keep(call)
      case 'wait':
        this.#now += call.ms
        return Promise.resolve()
      case 'crash':
        return this.#restart()
      default:
        return this.#manage(call)
    }
  }

  async #add({ id, destinations, heldMs }: Call & { call: 'add' }): Promise<void> {
    const recipients = destinations.map((each, at) => `r${at}@d${each}.example`)
    const holdUntil = heldMs === 0 ? 0 : this.#now + heldMs
    const options = { queuedAt: this.#now, ...(holdUntil > 0 && { holdUntil }) }
    await this.#queue.add([entry(`e${id}`, recipients, options)])
    if (this.#entries.has(`e${id}`)) return
    const deliveries = new Map<string, Delivery>()
    for (const each of destinations) {
      const dueAt = Math.max(this.#now, holdUntil)
      const delivery = { states: [], dueAt, isHeld: false, lease: undefined, leaseEndsAt: 0 }
      deliveries.set(`d${each}.example`, deliveries.get(`d${each}.example`) ?? delivery)
      deliveries.get(`d${each}.example`)?.states.push('pending')
    }
    this.#entries.set(`e${id}`, { holdUntil, deliveries })
  }

  async #claim({ max, most, leaseMs }: Omit<Call & { call: 'claim' }, 'call'>): Promise<readonly Claim[]> {
    const open = new Map(this.#open().map(({ key, destination, delivery }) => [key, { destination, delivery }]))
    const leased = new Map<string, number>()
    for (const [lease, { destination, leaseEndsAt }] of this.#gone) {
      if (leaseEndsAt > this.#now) count(leased, destination)
      else this.#gone.delete(lease)
    }
    for (const { deliveries } of this.#entries.values()) {
      for (const [destination, { lease, leaseEndsAt }] of deliveries)
        if (lease !== undefined && leaseEndsAt > this.#now) count(leased, destination)
    }
    const claims = await this.#queue.claim({ now: this.#now, max, leaseMs, maxPerDestination: most })
    for (const claim of claims) {
      const found = open.get(`${claim.id} ${claim.destination}`)
      // It would be undefined for a delivery that is leased, held, finished or not due.
      expect(found, `${claim.id} ${claim.destination} may not be claimed`).toBeDefined()
      const delivery = found?.delivery as Delivery
      open.delete(`${claim.id} ${claim.destination}`)
      delivery.lease = claim.lease
      delivery.leaseEndsAt = claim.leaseEndsAt
      const pending = [...delivery.states.keys()].filter((at) => delivery.states[at] === 'pending')
      expect(claim.recipients.map(({ index }) => index)).toEqual(pending)
      this.#claims.push(claim)
      this.#claimed.set(claim.lease, { id: claim.id, delivery })
      count(leased, claim.destination)
    }
    for (const [destination, leases] of leased) {
      const isNew = claims.some((claim) => claim.destination === destination)
      if (isNew) expect(leases).toBeLessThanOrEqual(most)
    }
    // With free places, nothing that is due is passed over.
    if (claims.length < max) {
      for (const { destination } of open.values()) expect(leased.get(destination)).toBeGreaterThanOrEqual(most)
    }
    return claims
  }

  async #settle({ which, states, waitMs, removes }: Omit<Call & { call: 'settle' }, 'call'>): Promise<void> {
    const claim = this.#claims[which % Math.max(1, this.#claims.length)]
    if (claim === undefined) return
    const dueAt = this.#now + waitMs
    const results = claim.recipients.map(({ index }, at) => ({ index, state: states[at % states.length] ?? 'pending' }))
    const settlement: Settlement = { claim, results, dueAt, ...(removes && { removeIfFinished: true }) }
    const [answer] = await this.#queue.settle([settlement])
    const delivery = this.#deliveryOf(claim)
    if (delivery === undefined) {
      this.#gone.delete(claim.lease)
      expect(answer).toEqual({ status: 'gone', isFinished: false })
      return
    }
    const isLate = delivery.lease !== claim.lease
    for (const { index, state } of results) if (delivery.states[index] === 'pending') delivery.states[index] = state
    if (!isLate) {
      delivery.lease = undefined
      if (delivery.states.includes('pending')) delivery.dueAt = dueAt
    }
    const others = [...(this.#entries.get(claim.id)?.deliveries.values() ?? [])]
    const isFinished = others.every((each) => !each.states.includes('pending'))
    const isRemoved = isFinished && removes && this.#removesFinished
    expect(answer).toEqual({ status: isLate ? 'late' : 'settled', isFinished, ...(isRemoved && { isRemoved }) })
    if (isRemoved) this.#remove(claim.id)
  }

  #remove(name: string): void {
    for (const [destination, { lease, leaseEndsAt }] of this.#entries.get(name)?.deliveries ?? [])
      if (lease !== undefined) this.#gone.set(lease, { destination, leaseEndsAt })
    this.#entries.delete(name)
  }

  async #keep({ call, which }: Call & { call: 'release' | 'renew' }): Promise<void> {
    const claim = this.#claims[which % Math.max(1, this.#claims.length)]
    if (claim === undefined) return
    const found = this.#deliveryOf(claim)
    const leased = found?.lease === claim.lease ? found : this.#gone.get(claim.lease)
    if (call === 'renew') {
      const renewed = await this.#queue.renew([claim], this.#now + 500)
      expect(renewed.length).toBe(leased === undefined ? 0 : 1)
      if (leased !== undefined) leased.leaseEndsAt = this.#now + 500
      return
    }
    await this.#queue.release([claim])
    this.#gone.delete(claim.lease)
    if (found !== undefined && found === leased) found.lease = undefined
  }

  async #manage({ call, id }: Call & { call: 'hold' | 'unhold' | 'retry' | 'remove' }): Promise<void> {
    const name = `e${id}`
    const found = this.#entries.get(name)
    const { queue } = this
    const counted = call === 'retry' ? await queue.retry([name], this.#now) : await queue[call]([name])
    expect(counted).toBe(found === undefined ? 0 : 1)
    if (call === 'remove') return this.#remove(name)
    for (const delivery of found?.deliveries.values() ?? []) {
      if (!delivery.states.includes('pending')) continue
      if (call === 'hold') delivery.isHeld = true
      if (call === 'unhold') delivery.isHeld = false
      if (call === 'retry' && !delivery.isHeld)
        delivery.dueAt = Math.min(delivery.dueAt, Math.max(this.#now, found?.holdUntil ?? 0))
    }
  }

  /** After a crash nobody has a lease. */
  async #restart(): Promise<void> {
    if (this.#crash === undefined) return
    this.#queue = await this.#crash(this.#queue)
    for (const { deliveries } of this.#entries.values())
      for (const delivery of deliveries.values()) delivery.lease = undefined
    this.#gone.clear()
    // Their numbers may come again in the new process.
    this.#claims.length = 0
  }

  /** Returns the deliveries that may be claimed now. */
  #open(): { readonly key: string; readonly destination: string; readonly delivery: Delivery }[] {
    return [...this.#entries].flatMap(([id, { deliveries }]) =>
      [...deliveries].flatMap(([destination, delivery]) => {
        // The queue ends leases when somebody claims.
        if (delivery.leaseEndsAt <= this.#now) delivery.lease = undefined
        const { isHeld, lease, dueAt, states } = delivery
        const isOpen = !isHeld && lease === undefined && dueAt <= this.#now && states.includes('pending')
        return isOpen ? [{ key: `${id} ${destination}`, destination, delivery }] : []
      }),
    )
  }

  /** Returns the delivery of a claim, unless its entry is removed. Another entry may have the same id since then. */
  #deliveryOf({ lease }: Claim): Delivery | undefined {
    const { id, delivery } = this.#claimed.get(lease) ?? {}
    const deliveries = [...(this.#entries.get(id ?? '')?.deliveries.values() ?? [])]
    return deliveries.find((each) => each === delivery)
  }

  async #compareTime(): Promise<void> {
    const times = [...this.#entries.values()].flatMap(({ deliveries }) =>
      [...deliveries.values()]
        .filter(({ isHeld, lease, states }) => !isHeld && lease === undefined && states.includes('pending'))
        .map(({ dueAt }) => dueAt),
    )
    const next = await this.#queue.nextDueAt()
    const expected = times.length === 0 ? undefined : Math.min(...times)
    if (expected === undefined || expected > this.#now) expect(next).toBe(expected)
    else expect(next).toBeLessThanOrEqual(this.#now)
  }

  async #compareAll(): Promise<void> {
    const { entries } = await this.#queue.list({ limit: 1_000 })
    const found = entries.map(({ id, deliveries }) => [
      id,
      deliveries.map(({ destination, dueAt, recipients }) => [
        destination,
        dueAt,
        recipients.map(({ state }) => state),
      ]),
    ])
    const expected = [...this.#entries].map(([id, { deliveries }]) => [
      id,
      [...deliveries].map(([destination, { dueAt, states }]) => [destination, dueAt, states]),
    ])
    expect(found).toEqual(expected)
  }

  async #sendAll(): Promise<void> {
    for (const id of this.#entries.keys()) await this.#manage({ call: 'unhold', id: Number(id.slice(1)) })
    this.#now += 1_000_000
    for (;;) {
      const claims = await this.#claim({ max: 7, most: 3, leaseMs: 500 })
      if (claims.length === 0) break
      const first = this.#claims.length - claims.length
      for (const at of claims.keys()) {
        await this.#settle({ which: first + at, states: ['relayed'], waitMs: 0, removes: at % 2 === 0 })
      }
    }
    const left = (await this.#queue.list({ limit: 1_000 })).entries.filter(({ deliveries }) =>
      deliveries.some(({ state }) => state !== 'finished'),
    )
    expect(left).toEqual([])
  }
}

function count(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1)
}
