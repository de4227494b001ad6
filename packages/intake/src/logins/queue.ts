/**
 * A queue that is fair by address: no address has a second turn before every other one had its first, and from then on they have
 * turns one after the other.
 *
 * Of addresses that had none yet, the latest comes first. Where more come than can be served, somebody has to wait for too long,
 * and this way it is not everybody: who comes while a hundred strangers guess from as many addresses need not wait for them.
 *
 * Items have a rank, and lower ranks come first. Every fourth turn is of the address that waits longest, whatever its rank.
 * The length is not bounded here: whoever pushes does that. Finding the next one takes time in proportion to it.
 */

/** One item's place, with which it can be taken out again. */
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
  /** The number of the last turn of each address that had one and still waits. */
  readonly #lastTurns = new Map<string, number>()
  #turns = 0

  get size(): number {
    return this.#waiting.length
  }

  push(place: Place<T>): void {
    this.#waiting.push(place)
  }

  /** Takes the next one out; undefined where nothing waits. */
  shift(): T | undefined {
    const turn = ++this.#turns
    const place = this.#next(turn % LONGEST_EVERY === 0)
    if (place === undefined) return undefined
    this.#lastTurns.set(place.address, turn)
    this.remove(place)
    return place.value
  }

  /** Takes one out, wherever it is. Returns false where it has been taken out already. */
  remove(place: Place<T>): boolean {
    const at = this.#waiting.indexOf(place)
    if (at === -1) return false
    this.#waiting.splice(at, 1)
    if (!this.#waiting.some(({ address }) => address === place.address)) this.#lastTurns.delete(place.address)
    return true
  }

  #next(isForLongest: boolean): Place<T> | undefined {
    const leastRank = this.#waiting.reduce((least, { rank }) => Math.min(least, rank), Infinity)
    /** The first of each address, the earliest first. */
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
