/**
 * Finds who has to go when all places are taken.
 *
 * A newcomer gets the place of an idle connection: of the address with the most connections, the one that has been idle longest. It
 * must have been idle for a while, so that a client with slow commands is left alone. Its address must have more connections than
 * the newcomer's, so that a stranger who has many cannot end those of others.
 */
import type { Endpoint } from '../../duplex.ts'
import { addressKey, type Place, type Places } from './admission.ts'

/** A connection that may have to go. */
export interface Occupant {
  readonly remote: Endpoint
  /** How long it has waited for its client, with nothing in progress. undefined if it is busy or over. */
  readonly idleMs: number | undefined
}

interface Candidate<T> {
  readonly occupant: T
  readonly place: Place
  readonly idleMs: number
  /** How many connections its address will still have when this one is next, because those that idled longer are closed first. */
  rank: number
}

/** Looking at all connections takes time, so it is not done more often than that, however many newcomers there are. */
const LOOK_EVERY_MS = 500
/** The length of each of two lists: submission, and all others. It is short, so that few ended connections are kept in memory. */
const MAX_CANDIDATES = 500

export class Displacement<T extends Occupant> {
  readonly #places: Places
  readonly #minIdleMs: number
  readonly #occupants: () => Iterable<readonly [T, Place]>
  readonly #displace: (occupant: T) => void
  /** Candidates among connections for submission, and among the others; the one to go first is last. */
  #candidates: readonly Candidate<T>[][] = []
  #looksAgainAt = -Infinity

  /**
   * @param minIdleMs A connection that has been idle for less stays.
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
    // A place that is kept for submission is not given to others, so the second may work when the first does not.
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

  /** Finds the one to go first for an address with `own` connections. Drops those that have become busy. */
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

/** Sorts the one to go first to the end. */
function byTurn(a: Candidate<unknown>, b: Candidate<unknown>): number {
  return a.rank - b.rank || a.idleMs - b.idleMs
}
