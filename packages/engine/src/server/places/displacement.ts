/**
 * Finds the connection to close when all places are taken.
 * A newcomer gets the place of an idle connection: of the address with the most connections, the one that has been idle
 * longest. It must have been idle for a while, so that a client with slow commands is left alone. Its address must have
 * more connections than the newcomer's, so that a stranger with many connections cannot end those of others.
 */
import type { Endpoint } from '../../duplex.ts'
import { addressKey, type Place, type Places } from './admission.ts'

/** A connection that may lose its place. */
export interface Occupant {
  readonly remote: Endpoint
  /** Milliseconds for which it has waited for its client, with nothing in progress. undefined if it is busy or over. */
  readonly idleMs: number | undefined
}

interface Candidate<T> {
  readonly occupant: T
  readonly place: Place
  readonly idleMs: number
  /**
   * How many connections its address will still have when it is this one's turn, because those that idled longer are
   * closed first.
   */
  rank: number
}

/** The list is made again after this time at the earliest, because it takes time to look at all connections. */
const LOOK_EVERY_MS = 500
/**
 * The greatest length of each of two lists: one for submission, one for all others. It is short, so that few ended
 * connections stay in memory.
 */
const MAX_CANDIDATES = 500

export class Displacement<T extends Occupant> {
  readonly #places: Places
  readonly #minIdleMs: number
  readonly #occupants: () => Iterable<readonly [T, Place]>
  readonly #displace: (occupant: T) => void
  /** Two lists of candidates: connections for submission, and all others. The last of a list is closed first. */
  #candidates: readonly Candidate<T>[][] = []
  #looksAgainAt = -Infinity

  /**
   * @param minIdleMs A connection that has been idle for less is left alone.
   * @param occupants Gives all connections that have a place
   * @param displace Closes a connection, after the newcomer got its place
   */
  constructor(
    places: Places,
    minIdleMs: number,
    occupants: () => Iterable<readonly [T, Place]>,
    displace: (occupant: T) => void,
  ) {
    this.#places = places
    this.#minIdleMs = minIdleMs
    this.#occupants = occupants
    this.#displace = displace
  }

  /** Ends a connection and takes its place for a newcomer. Returns undefined if none has to go. */
  enter(remote: Endpoint, isSubmission: boolean): Place | undefined {
    this.#look()
    const own = this.#places.count(remote)
    const firsts = this.#candidates.flatMap((candidates) => this.#first(candidates, own) ?? [])
    // Other connections do not get a place that is kept for submission. So the second candidate may work if the first
    // does not.
    for (const { occupant, place } of firsts.toSorted(byTurn).toReversed()) {
      const taken = this.#places.enter(remote, isSubmission, place)
      if (taken === undefined) continue
      this.#displace(occupant)
      return taken
    }
    return undefined
  }

  #look(): void {
    const now = performance.now()
    if (now < this.#looksAgainAt) return
    this.#looksAgainAt = now + LOOK_EVERY_MS
    const all: Candidate<T>[] = []
    for (const [occupant, place] of this.#occupants()) {
      const idleMs = occupant.idleMs ?? -1
      if (idleMs >= this.#minIdleMs) all.push({ occupant, place, idleMs, rank: 0 })
    }
    all.sort((a, b) => b.idleMs - a.idleMs)
    const left = new Map<string, number>()
    for (const candidate of all) {
      const { remote } = candidate.occupant
      const key = addressKey(remote)
      candidate.rank = left.get(key) ?? this.#places.count(remote)
      left.set(key, candidate.rank - 1)
    }
    all.sort(byTurn)
    this.#candidates = [true, false].map((isSubmission) =>
      all.filter(({ place }) => place.isSubmission === isSubmission).slice(-MAX_CANDIDATES),
    )
  }

  /** Finds the connection to close first for an address with `own` connections. Drops those that have become busy. */
  #first(candidates: Candidate<T>[], own: number): Candidate<T> | undefined {
    for (let first = candidates.at(-1); first !== undefined; first = candidates.at(-1)) {
      if (first.rank <= own) return undefined
      const { occupant } = first
      if ((occupant.idleMs ?? -1) >= this.#minIdleMs && this.#places.count(occupant.remote) > own) return first
      candidates.pop()
    }
    return undefined
  }
}

/** Sorts the connection to close first to the end. */
function byTurn(a: Candidate<unknown>, b: Candidate<unknown>): number {
  return a.rank - b.rank || a.idleMs - b.idleMs
}
