/** The deliveries of a queue in memory, in the orders in which they are looked for. */
import type { DueDeliveries } from '../choice.ts'
import type { DeliveryState, NewEntry, QueueRecipient } from '../entry.ts'
import { Ordered } from './ordered.ts'

/** An entry that is kept. */
export interface HeldEntry extends Pick<NewEntry, 'id' | 'messageId' | 'queuedAt' | 'envelope'> {
  readonly seq: number
  readonly holdUntil: number
  readonly deliveries: HeldDelivery[]
}

export interface HeldDelivery {
  readonly number: number
  readonly entry: HeldEntry
  readonly destination: string
  readonly priority: number
  state: DeliveryState
  dueAt: number
  attempts: number
  recipients: readonly QueueRecipient[]
}

type Waiting = Pick<HeldDelivery, 'dueAt' | 'number'>

const byTime = (one: Waiting, other: Waiting): number => one.dueAt - other.dueAt || one.number - other.number
const byText = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

/** The due deliveries of one priority, by destination. */
class Level {
  readonly destinations: Ordered<string> = new Ordered(byText)
  readonly #queues = new Map<string, Ordered<Waiting>>()

  add(delivery: HeldDelivery): void {
    let queue = this.#queues.get(delivery.destination)
    if (queue === undefined) {
      queue = new Ordered(byTime)
      this.#queues.set(delivery.destination, queue)
      this.destinations.add(delivery.destination)
    }
    queue.add(delivery)
  }

  delete(delivery: HeldDelivery): void {
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
}

export class Deliveries implements DueDeliveries {
  readonly #byNumber = new Map<number, HeldDelivery>()
  readonly #waiting = new Ordered<Waiting>(byTime)
  readonly #levels = new Map<number, Level>()

  get(number: number): HeldDelivery | undefined {
    return this.#byNumber.get(number)
  }

  add(delivery: HeldDelivery): void {
    this.#byNumber.set(delivery.number, delivery)
    this.#enter(delivery)
  }

  delete(delivery: HeldDelivery): void {
    this.#byNumber.delete(delivery.number)
    this.#leave(delivery)
  }

  /** Changes a delivery, and where it is found. */
  change(delivery: HeldDelivery, changes: Partial<Omit<HeldDelivery, 'number' | 'entry' | 'destination'>>): void {
    this.#leave(delivery)
    Object.assign(delivery, changes)
    this.#enter(delivery)
  }

  /** The deliveries that wait, the next one first. */
  get waiting(): readonly Waiting[] {
    return this.#waiting.items
  }

  /** Marks the deliveries as due whose time has come. */
  makeDue(now: number): void {
    for (let first = this.#waiting.items[0]; first !== undefined; first = this.#waiting.items[0]) {
      const delivery = this.#byNumber.get(first.number)
      if (first.dueAt > now || delivery === undefined) return
      this.change(delivery, { state: 'due' })
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

  #enter(delivery: HeldDelivery): void {
    if (delivery.state === 'waiting') this.#waiting.add(delivery)
    if (delivery.state !== 'due') return
    let level = this.#levels.get(delivery.priority)
    if (level === undefined) this.#levels.set(delivery.priority, (level = new Level()))
    level.add(delivery)
  }

  #leave(delivery: HeldDelivery): void {
    if (delivery.state === 'waiting') this.#waiting.delete(delivery)
    if (delivery.state !== 'due') return
    const level = this.#levels.get(delivery.priority)
    level?.delete(delivery)
    if (level?.destinations.items.length === 0) this.#levels.delete(delivery.priority)
  }
}
