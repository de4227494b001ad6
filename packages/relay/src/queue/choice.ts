/**
 * Which due deliveries a claim gets. Higher priorities come first. Of one priority, destinations take turns over all claims, so that a
 * destination with many deliveries, or with slow ones, does not delay the others.
 */
import { type Leases, MAX_LEASES } from './leases.ts'
import type { ClaimOptions } from './queue.ts'

/** What a backend tells of deliveries that are due and not held. Leased ones are among them. */
export interface DueDeliveries {
  /** Returns the highest priority below this one. */
  nextPriority(below: number): number | undefined
  /** Returns the first destination behind this one, in the backend's order. */
  nextDestination(priority: number, after: string): string | undefined
  /** Returns the numbers of the deliveries that have been due for longest. */
  first(priority: number, destination: string, limit: number): readonly number[]
}

export interface Chosen {
  readonly number: number
  readonly destination: string
}

/** A claim looks at so many destinations more than it has places. The next claim goes on behind them. */
const MAX_PASSED_OVER = 1_000

interface Candidate {
  readonly destination: string
  /** How many the destination may still get. */
  free: number
  /** How many it has got in this claim and at this priority. */
  got: number
  /** There may be more than it has got. */
  hasMore: boolean
}

export class Choice {
  /** The destination that was last served, by priority. */
  readonly #turns = new Map<number, string>()

  /** Returns the deliveries of a claim. None of them is leased. */
  choose(due: DueDeliveries, leases: Leases, options: ClaimOptions): Chosen[] {
    const chosen: Chosen[] = []
    const taken = new Map<string, number>()
    const most = Math.min(options.max, MAX_LEASES - leases.size)
    let priority = due.nextPriority(Infinity)
    for (; priority !== undefined && chosen.length < most; priority = due.nextPriority(priority)) {
      const places = most - chosen.length
      const candidates = this.#candidates(due, leases, priority, places, (destination) => {
        const bound = boundOf(options, destination)
        return Math.min(places, bound - leases.countOf(destination) - (taken.get(destination) ?? 0))
      })
      for (const each of share(due, leases, priority, candidates, places)) {
        chosen.push(each)
        taken.set(each.destination, (taken.get(each.destination) ?? 0) + 1)
      }
    }
    return chosen
  }

  /** Finds destinations that have a free place, from the one whose turn it is. */
  #candidates(
    due: DueDeliveries,
    leases: Leases,
    priority: number,
    places: number,
    freeOf: (destination: string) => number,
  ): Candidate[] {
    const found: Candidate[] = []
    const last = this.#turns.get(priority) ?? ''
    let destination = last
    let isAround = false
    for (let looks = 0; looks < places + MAX_PASSED_OVER && found.length < places; looks++) {
      let next = due.nextDestination(priority, destination)
      if (next === undefined && !isAround) {
        isAround = true
        next = due.nextDestination(priority, '')
      }
      if (next === undefined || (isAround && next > last)) break
      destination = next
      this.#turns.set(priority, destination)
      const free = freeOf(destination)
      if (free > 0 && hasUnleased(due, leases, priority, destination))
        found.push({ destination, free, got: 0, hasMore: true })
    }
    return found
  }
}

function hasUnleased(due: DueDeliveries, leases: Leases, priority: number, destination: string): boolean {
  const leased = leases.countOf(destination)
  return leased === 0 || due.first(priority, destination, leased + 1).some((number) => !leases.has(number))
}

/** Gives each destination the same number of places, and then what is left to those that have more. */
function* share(
  due: DueDeliveries,
  leases: Leases,
  priority: number,
  candidates: readonly Candidate[],
  places: number,
): Generator<Chosen> {
  const each = Math.max(1, Math.floor(places / candidates.length))
  let left = places
  for (const isFirst of [true, false]) {
    for (const candidate of candidates) {
      const wanted = Math.min(left, candidate.free - candidate.got, isFirst ? each : Infinity)
      if (wanted <= 0 || !candidate.hasMore) continue
      const { destination, got } = candidate
      // Leased deliveries may be the first ones.
      const limit = wanted + got + leases.countOf(destination)
      const numbers = due.first(priority, destination, limit)
      candidate.hasMore = numbers.length === limit
      for (const number of numbers.filter((number) => !leases.has(number)).slice(got, got + wanted)) {
        candidate.got++
        left--
        yield { number, destination }
      }
    }
  }
}

function boundOf({ maxPerDestination = Infinity }: ClaimOptions, destination: string): number {
  if (typeof maxPerDestination === 'number') return maxPerDestination
  const bound = Math.floor(maxPerDestination(destination))
  return Number.isNaN(bound) ? 0 : bound
}
