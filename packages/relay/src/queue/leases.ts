/** The leases of one owner. They are in memory, because only the owner claims, and nobody keeps a lease of a dead owner. */
import type { Claimed } from './queue.ts'

/** More than any relay works on at the same time. */
export const MAX_LEASES = 10_000

export interface Lease {
  /** The backend's number of the delivery. */
  readonly number: number
  readonly destination: string
  readonly token: string
  endsAt: number
}

export class Leases {
  readonly #byNumber = new Map<number, Lease>()
  readonly #counts = new Map<string, number>()
  #made = 0
  /** No lease ends before this time. */
  #firstEnd = Infinity

  get size(): number {
    return this.#byNumber.size
  }

  has(number: number): boolean {
    return this.#byNumber.has(number)
  }

  countOf(destination: string): number {
    return this.#counts.get(destination) ?? 0
  }

  grant(number: number, destination: string, endsAt: number): Lease {
    const lease: Lease = { number, destination, token: `${number}.${++this.#made}`, endsAt }
    this.#byNumber.set(number, lease)
    this.#counts.set(destination, this.countOf(destination) + 1)
    this.#firstEnd = Math.min(this.#firstEnd, endsAt)
    return lease
  }

  /** Returns the lease of a claim, unless it has ended. */
  find(claimed: Claimed): Lease | undefined {
    const lease = this.#byNumber.get(numberOf(claimed))
    return lease?.token === claimed.lease ? lease : undefined
  }

  /** Moves the end of leases, and returns the claims whose lease had not ended. */
  renew(claims: readonly Claimed[], endsAt: number): Claimed[] {
    return claims.filter((claimed) => {
      const lease = this.find(claimed)
      if (lease === undefined) return false
      lease.endsAt = endsAt
      this.#firstEnd = Math.min(this.#firstEnd, endsAt)
      return true
    })
  }

  /** Ends the lease of a claim, unless it has ended. */
  end(claimed: Claimed): void {
    const lease = this.find(claimed)
    if (lease !== undefined) this.#delete(lease)
  }

  /** Ends the leases whose time is over. */
  endBefore(now: number): void {
    if (now < this.#firstEnd) return
    this.#firstEnd = Infinity
    for (const lease of this.#byNumber.values()) {
      if (lease.endsAt <= now) this.#delete(lease)
      else this.#firstEnd = Math.min(this.#firstEnd, lease.endsAt)
    }
  }

  clear(): void {
    this.#byNumber.clear()
    this.#counts.clear()
  }

  #delete({ number, destination }: Lease): void {
    this.#byNumber.delete(number)
    const left = this.countOf(destination) - 1
    if (left === 0) this.#counts.delete(destination)
    else this.#counts.set(destination, left)
  }
}

/** Returns the backend's number of the delivery of a claim; NaN if the claim is not of a queue. */
export function numberOf({ lease }: Claimed): number {
  const dot = lease.indexOf('.')
  return dot > 0 ? Number(lease.slice(0, dot)) : Number.NaN
}
