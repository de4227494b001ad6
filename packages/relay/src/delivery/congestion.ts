/**
 * How many deliveries a destination gets at the same time, and when it gets none, learnt from its answers. It is pure: the caller gives
 * the time.
 *
 * A destination begins with a few places. Each success adds a little, until `maxPlaces`. An answer that means "too much" or "not now"
 * halves them, and the destination rests for a while: twice as long after each further one.
 */

export interface CongestionOptions {
  /** The most deliveries of one destination at the same time. Default 20. */
  readonly maxPlaces?: number | undefined
  /** How many a destination begins with. Default 4. */
  readonly firstPlaces?: number | undefined
  /** The first rest. Default 30 s. */
  readonly restMs?: number | undefined
  /** The longest rest. Default 15 min. */
  readonly maxRestMs?: number | undefined
  /** The most messages that a destination gets in a minute. Default: no limit. */
  readonly maxPerMinute?: number | undefined
}

/** Destinations that are remembered. The one that was used least recently is forgotten first. */
const MAX_DESTINATIONS = 10_000
const MINUTE_MS = 60_000

interface Known {
  places: number
  /** Answers that meant "not now", since the last success. */
  failures: number
  restsUntil: number
  /** When the destination may get the next message, if messages a minute are limited. */
  nextAt: number
}

export class Congestion {
  readonly #maxPlaces: number
  readonly #firstPlaces: number
  readonly #restMs: number
  readonly #maxRestMs: number
  readonly #gapMs: number
  readonly #known = new Map<string, Known>()

  constructor(options: CongestionOptions = {}) {
    const { maxPlaces = 20, firstPlaces = 4, restMs = 30_000, maxRestMs = 900_000, maxPerMinute = Infinity } = options
    this.#maxPlaces = maxPlaces
    this.#firstPlaces = Math.min(firstPlaces, maxPlaces)
    this.#restMs = restMs
    this.#maxRestMs = maxRestMs
    this.#gapMs = MINUTE_MS / maxPerMinute
  }

  /** Returns how many deliveries of the destination may be on their way now; 0 while it rests. */
  placesOf(destination: string, now: number): number {
    const known = this.#known.get(destination)
    if (known === undefined) return this.#firstPlaces
    if (now < known.restsUntil) return 0
    if (this.#gapMs === 0) return Math.floor(known.places)
    return now < known.nextAt ? 0 : 1
  }

  /** Says that a delivery begins. */
  begin(destination: string, now: number): void {
    if (this.#gapMs === 0) return
    const known = this.#get(destination)
    known.nextAt = Math.max(now, known.nextAt) + this.#gapMs
  }

  /** Says that the destination has taken a message. */
  succeeded(destination: string): void {
    const known = this.#known.get(destination)
    // A destination that was never congested need not be remembered as long as it has its first places.
    if (known === undefined && this.#firstPlaces === this.#maxPlaces) return
    const { places } = known ?? { places: this.#firstPlaces }
    const entry = this.#get(destination)
    entry.failures = 0
    entry.places = Math.min(this.#maxPlaces, places + 1 / places)
  }

  /** Says that the destination did not want more now: `421`, another temporary answer before MAIL was accepted, or no connection. */
  refused(destination: string, now: number): void {
    const known = this.#get(destination)
    known.places = Math.max(1, known.places / 2)
    // Answers to deliveries that were on their way together are one answer.
    if (now < known.restsUntil) return
    known.restsUntil = now + Math.min(this.#maxRestMs, this.#restMs * 2 ** known.failures)
    known.failures++
  }

  /** Ends all rests. If a destination refuses again, its next rest is longer all the same. */
  endRests(now: number): void {
    for (const known of this.#known.values()) known.restsUntil = Math.min(known.restsUntil, now)
  }

  /** Returns the earliest end of a rest after `now`; undefined if nobody rests. */
  nextAt(now: number): number | undefined {
    let next = Infinity
    for (const { restsUntil, nextAt } of this.#known.values()) {
      const until = Math.max(restsUntil, nextAt)
      if (until > now && until < next) next = until
    }
    return next === Infinity ? undefined : next
  }

  #get(destination: string): Known {
    const known = this.#known.get(destination) ?? { places: this.#firstPlaces, failures: 0, restsUntil: 0, nextAt: 0 }
    this.#known.delete(destination)
    this.#known.set(destination, known)
    if (this.#known.size > MAX_DESTINATIONS) {
      const [oldest] = this.#known.keys()
      this.#known.delete(oldest as string)
    }
    return known
  }
}
