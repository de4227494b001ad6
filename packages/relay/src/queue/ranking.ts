/** The destinations with the most deliveries, in bounded memory. */

export interface RankedDestination {
  readonly destination: string
  readonly deliveries: number
}

export class Ranking {
  readonly #most: number
  #named: RankedDestination[] = []
  #seen = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Counts a destination. Each comes once. */
  add(destination: string, deliveries: number): void {
    if (deliveries === 0) return
    this.#seen++
    this.#named.push({ destination, deliveries })
    if (this.#named.length > 2 * this.#most + 100) this.#cut()
  }

  result(): { destinations: readonly RankedDestination[]; otherDestinations: number } {
    this.#cut()
    return { destinations: this.#named, otherDestinations: this.#seen - this.#named.length }
  }

  #cut(): void {
    this.#named = this.#named.toSorted((one, other) => other.deliveries - one.deliveries).slice(0, this.#most)
  }
}
