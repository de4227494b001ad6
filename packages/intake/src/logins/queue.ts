/**
 * A queue that is fair by address. No address gets a second turn before every other address had its first. After that,
 * the addresses take turns.
 *
 * Among addresses without a turn, the latest comes first. Under overload some logins must wait too long, but with this
 * order not all of them: a newcomer does not wait for a hundred strangers who guess passwords from a hundred addresses.
 *
 * Lower ranks come first. Every fourth turn goes to the address that has waited longest, whatever its rank. The caller
 * bounds the length. Finding the next item takes time in proportion to the length.
 */

/** An item in the queue. `remove` takes it. */
export interface Place<T> {
  /** 0 comes first. */
  readonly rank: number
  readonly address: string
  readonly value: T
}

const LONGEST_EVERY = 4

export class FairQueue<T> {
  /** In the order in which they came. */
  readonly #waiting: Place<T>[] = []
  /** For each waiting address that had a turn, the number of its last turn. */
  readonly #lastTurns = new Map<string, number>()
  #turns = 0

  get size(): number {
    return this.#waiting.length
  }

  push(place: Place<T>): void {
    this.#waiting.push(place)
  }

  /** Removes the next item and returns it. Returns undefined if the queue is empty. */
  shift(): T | undefined {
    const turn = ++this.#turns
    const place = this.#next(turn % LONGEST_EVERY === 0)
    if (place === undefined) return undefined
    this.#lastTurns.set(place.address, turn)
    this.remove(place)
    return place.value
  }

  /** Removes an item. Returns false if it is no longer in the queue. */
  remove(place: Place<T>): boolean {
    const at = this.#waiting.indexOf(place)
    if (at === -1) return false
    this.#waiting.splice(at, 1)
    if (!this.#waiting.some(({ address }) => address === place.address)) this.#lastTurns.delete(place.address)
    return true
  }

  #next(isForLongest: boolean): Place<T> | undefined {
    const leastRank = this.#waiting.reduce((least, { rank }) => Math.min(least, rank), Infinity)
    /** The first item of each address, in the order of arrival. */
    const firsts = new Map<string, Place<T>>()
    for (const place of this.#waiting) {
      if ((isForLongest || place.rank === leastRank) && !firsts.has(place.address)) firsts.set(place.address, place)
    }
    let next: Place<T> | undefined
    let least = Infinity
    for (const place of firsts.values()) {
      const lastTurn = this.#lastTurns.get(place.address) ?? 0
      if (lastTurn > least || (lastTurn === least && isForLongest)) continue
      next = place
      least = lastTurn
    }
    return next
  }
}
