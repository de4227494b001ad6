/** Chooses which connection to close when too many wait that are not sessions yet. */
import type { Endpoint } from '../../duplex.ts'
import { addressKey } from './admission.ts'

/**
 * A bounded set. Each member belongs to an address. If the set is full, it removes the oldest member of the address
 * with the most members. So a client that opens many connections loses its own, and an address never loses one while
 * another has more.
 * Addresses are counted by `addressKey`; members without an address are one group. Each call takes constant time.
 */
export class FairSet<T> implements Iterable<T> {
  readonly #max: number
  readonly #groups = new Map<string, Group<T>>()
  readonly #entries = new Map<T, Entry<T>>()
  /** Groups by size. Groups of equal size are in the order in which they reached it. */
  readonly #bySize = new Map<number, List<Group<T>>>()
  #largest = 0

  /** @param max The greatest number of members, at least 1. */
  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#entries.size
  }

  /** Adds a member. Returns the member that it removed for it; undefined if there was room for both. */
  add(remote: Endpoint, member: T): T | undefined {
    this.delete(member)
    const address = addressKey(remote)
    let group = this.#groups.get(address)
    if (group === undefined) this.#groups.set(address, (group = new Group(address)))
    const entry = new Entry(member, group)
    this.#entries.set(member, entry)
    this.#resize(group, () => group.entries.append(entry))
    this.#largest = Math.max(this.#largest, group.entries.size)
    return this.size > this.#max ? this.#removeOne() : undefined
  }

  /** Removes a member. Returns whether it was one. */
  delete(member: T): boolean {
    const entry = this.#entries.get(member)
    if (entry === undefined) return false
    const { group } = entry
    this.#entries.delete(member)
    this.#resize(group, () => group.entries.remove(entry))
    if (group.entries.size === 0) this.#groups.delete(group.address)
    if (!this.#bySize.has(this.#largest)) this.#largest = Math.max(0, this.#largest - 1)
    return true
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#entries.keys()
  }

  #removeOne(): T | undefined {
    const oldest = this.#bySize.get(this.#largest)?.first?.entries.first
    if (oldest === undefined) return undefined
    this.delete(oldest.member)
    return oldest.member
  }

  /** Changes a group, and moves it to the list of its new size. */
  #resize(group: Group<T>, change: () => void): void {
    const before = this.#bySize.get(group.entries.size)
    if (group.entries.size > 0) before?.remove(group)
    if (before?.size === 0) this.#bySize.delete(group.entries.size)
    change()
    const { size } = group.entries
    if (size === 0) return
    let now = this.#bySize.get(size)
    if (now === undefined) this.#bySize.set(size, (now = new List()))
    now.append(group)
  }
}

/** An item that is in at most one {@link List}. */
class Item {
  previous: this | undefined
  next: this | undefined
}

class Entry<T> extends Item {
  readonly member: T
  readonly group: Group<T>
  constructor(member: T, group: Group<T>) {
    super()
    this.member = member
    this.group = group
  }
}

/** The members of one address, oldest first. */
class Group<T> extends Item {
  readonly address: string
  readonly entries = new List<Entry<T>>()
  constructor(address: string) {
    super()
    this.address = address
  }
}

/** A linked list. A `Set` also keeps its order, but in V8 finding its first element gets slow after many removals. */
class List<I extends Item> {
  first: I | undefined
  #last: I | undefined
  size = 0

  append(item: I): void {
    item.previous = this.#last
    item.next = undefined
    if (this.#last === undefined) this.first = item
    else this.#last.next = item
    this.#last = item
    this.size++
  }

  /** @param item Must be in this list */
  remove(item: I): void {
    const { previous, next } = item
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    // Otherwise an item that the garbage collector has not found yet would keep all later ones in memory.
    item.previous = item.next = undefined
    this.size--
  }
}
