/** Deliveries in memory, in the orders in which they are looked for. */
import type { DueDeliveries } from '../choice.ts'
import type { DeliveryState, NewEntry, QueueRecipient } from '../entry.ts'
import { Ordered } from './ordered.ts'

/** An entry that is kept. */
export interface HeldEntry extends Pick<NewEntry, 'id' | 'messageId' | 'queuedAt' | 'envelope'> {
  readonly seq: number
  readonly holdUntil: number
  readonly deliveries: HeldDelivery[]
}

/** What decides where a delivery is found. */
export interface Placed {
  readonly number: number
  readonly destination: string
  readonly priority: number
  state: DeliveryState
  dueAt: number
}

export interface HeldDelivery extends Placed {
  readonly entry: HeldEntry
  attempts: number
  recipients: readonly QueueRecipient[]
}

type Waiting = Pick<Placed, 'dueAt' | 'number'>

const byTime = (one: Waiting, other: Waiting): number => one.dueAt - other.dueAt || one.number - other.number
const byText = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

/** The due deliveries of one priority, by destination. */
class Level {
  readonly destinations: Ordered<string> = new Ordered(byText)
  readonly #queues = new Map<string, Ordered<Waiting>>()

  add(delivery: Placed): void {
    let queue = this.#queues.get(delivery.destination)
    if (queue === undefined) {
      queue = new Ordered(byTime)
      this.#queues.set(delivery.destination, queue)
      this.destinations.add(delivery.destination)
    }
    queue.add(delivery)
  }

  delete(delivery: Placed): void {
    const queue = this.#queues.get(delivery.destination)
    queue?.delete(delivery)
    if (queue?.items.length !== 0) return
    this.#queues.delete(delivery.destination)
    this.destinations.delete(delivery.destination)
  }

  first(destination: string, limit: number): number[] {
    const items = this.#queues.get(destination)?.items ?? []
    return items.slice(0, limit).map(({ number }) => number)
  }

  *all(): Generator<Waiting> {
    for (const { items } of this.#queues.values()) yield* items
  }
}

export class Deliveries<T extends Placed> implements DueDeliveries {
  readonly #byNumber = new Map<number, T>()
  readonly #waiting = new Ordered<Waiting>(byTime)
  readonly #levels = new Map<number, Level>()

  get(number: number): T | undefined {
    return this.#byNumber.get(number)
  }

  add(delivery: T): void {
    this.#byNumber.set(delivery.number, delivery)
    this.#enter(delivery)
  }

  delete(delivery: T): void {
    this.#byNumber.delete(delivery.number)
    this.#leave(delivery)
  }

  /** Changes a delivery, and where it is found. */
  change(delivery: T, changes: Partial<Omit<T, 'number' | 'destination' | 'priority'>>): void {
    this.#leave(delivery)
    Object.assign(delivery, changes)
    this.#enter(delivery)
  }

  /** The deliveries that wait, the next one first. */
  get waiting(): readonly Waiting[] {
    return this.#waiting.items
  }

  /** Returns the deliveries that are due, in any order. */
  *due(): Generator<Waiting> {
    for (const level of this.#levels.values()) yield* level.all()
  }

  /** Marks the deliveries as due whose time has come. */
  makeDue(now: number): void {
    for (let first = this.#waiting.items[0]; first !== undefined; first = this.#waiting.items[0]) {
      const delivery = this.#byNumber.get(first.number)
      if (first.dueAt > now || delivery === undefined) return
      this.change(delivery, { state: 'due' } as Partial<T>)
    }
  }

  nextPriority(below: number): number | undefined {
    const lower = [...this.#levels.keys()].filter((priority) => priority < below)
    return lower.length === 0 ? undefined : Math.max(...lower)
  }

  nextDestination(priority: number, after: string): string | undefined {
    return this.#levels.get(priority)?.destinations.behind(after)
  }

  first(priority: number, destination: string, limit: number): number[] {
    return this.#levels.get(priority)?.first(destination, limit) ?? []
  }

  #enter(delivery: T): void {
    if (delivery.state === 'waiting') this.#waiting.add(delivery)
    if (delivery.state !== 'due') return
    let level = this.#levels.get(delivery.priority)
    if (level === undefined) this.#levels.set(delivery.priority, (level = new Level()))
    level.add(delivery)
  }

  #leave(delivery: T): void {
    if (delivery.state === 'waiting') this.#waiting.delete(delivery)
    if (delivery.state !== 'due') return
    const level = this.#levels.get(delivery.priority)
    level?.delete(delivery)
    if (level?.destinations.items.length === 0) this.#levels.delete(delivery.priority)
  }
}
