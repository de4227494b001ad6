/** Leases deliveries for this process. The lease is in the stream before the caller has the claim. */
import { checkClaim } from '../checks.ts'
import { Choice } from '../choice.ts'
import type { Claim, Claimed, ClaimOptions } from '../queue.ts'
import { leased, tokenOf, type Wish, withLeases } from './changes.ts'
import type { KnownDelivery, OwnLease } from './known.ts'
import type { Mirror } from './mirror.ts'
import type { Records } from './table.ts'
import { together } from './together.ts'

export interface ClaimsDeps {
  readonly mirror: Mirror
  readonly records: Records
  readonly maxLeaseMs: number
}

interface Wanted extends Wish {
  readonly delivery: KnownDelivery
}

/** So many times in the shortest life of a lease it is moved. */
const RENEWALS = 3
const CLOSE_PATIENCE_MS = 5_000

export class Claims {
  readonly #deps: ClaimsDeps
  readonly #choice = new Choice()
  readonly #timer: ReturnType<typeof setInterval>
  /** The difference between the callers' clock and this process's. */
  #clockMs = 0
  /** Leases whose end could not be written, because the server was away. */
  readonly #unreleased = new Map<string, OwnLease>()

  constructor(deps: ClaimsDeps) {
    this.#deps = deps
    this.#timer = setInterval(() => void this.keep(), deps.maxLeaseMs / RENEWALS)
  }

  async claim(options: ClaimOptions): Promise<Claim[]> {
    checkClaim(options)
    const { now, leaseMs } = options
    const { mirror, records, maxLeaseMs } = this.#deps
    this.#clockMs = now - Date.now()
    mirror.deliveries.makeDue(now)
    mirror.endBefore(now)
    const wanted = this.#choice.choose(mirror.deliveries, mirror.leases, options).flatMap(({ number }): Wanted[] => {
      const delivery = mirror.deliveries.get(number)
      if (delivery === undefined) return []
      const place = { order: delivery.entry.order, index: delivery.index }
      const endsAt = now + leaseMs
      mirror.beginClaim(delivery, endsAt)
      return [
        {
          ...place,
          delivery,
          token: tokenOf(place, records.by),
          endsAt,
          storedEndsAt: now + Math.min(leaseMs, maxLeaseMs),
        },
      ]
    })
    const claims = await this.#write(wanted, now)
    return wanted.flatMap(({ token }) => claims.get(token) ?? [])
  }

  /** Returns the claims by token. If some can't be had because the server is away, the others are returned. */
  async #write(wanted: readonly Wanted[], now: number): Promise<Map<string, Claim>> {
    const claims = new Map<string, Claim>()
    const failures: unknown[] = []
    const byRecord = Map.groupBy(wanted, ({ delivery }) => delivery.entry.record.name)
    await together([...byRecord], async ([name, wishes]) => {
      for (const { delivery, token, endsAt } of wishes)
        this.#deps.mirror.addOwn({ token, record: name, number: delivery.number, endsAt })
      let found: readonly Claim[] = []
      try {
        found = await this.#deps.records.change(name, (entries, seq) => leased(entries, seq, wishes, now))
      } catch (error) {
        failures.push(error)
      }
      for (const claim of found) claims.set(claim.lease, claim)
      for (const { delivery, token } of wishes) {
        if (!claims.has(token)) this.#deps.mirror.endOwn(token)
        this.#deps.mirror.endClaim(delivery)
      }
    })
    if (claims.size === 0 && failures.length > 0) throw failures[0]
    return claims
  }

  async renew(claims: readonly Claimed[], endsAt: number): Promise<readonly Claimed[]> {
    const own = claims.flatMap(({ lease }) => this.#deps.mirror.ownLease(lease) ?? [])
    const storedEndsAt = Math.min(endsAt, this.#now() + this.#deps.maxLeaseMs)
    const gone = own.filter((lease) => this.#deps.mirror.moveOwn(lease, endsAt)).map(({ token }) => token)
    const renewed = new Set([...(await this.#move(own, storedEndsAt)), ...gone])
    return claims.filter(({ lease }) => renewed.has(lease))
  }

  async release(claims: readonly Claimed[]): Promise<void> {
    const own = claims.flatMap(({ lease }) => this.#deps.mirror.ownLease(lease) ?? [])
    for (const lease of own) this.#unreleased.set(lease.token, lease)
    await this.#giveBack(own)
  }

  /** Ends leases in memory that a settlement has ended in the stream. */
  settled(claims: readonly Claimed[]): void {
    for (const { lease } of claims) this.#deps.mirror.endOwn(lease)
  }

  /** Ends all leases. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#giveBack(this.#deps.mirror.written(), CLOSE_PATIENCE_MS).catch(() => {})
  }

  /** Ends leases in the stream, and then in memory. */
  async #giveBack(leases: readonly OwnLease[], patienceMs?: number): Promise<void> {
    await this.#move(leases, undefined, patienceMs)
    for (const { token } of leases) {
      this.#unreleased.delete(token)
      this.#deps.mirror.endOwn(token)
    }
  }

  /** Moves the ends of the leases in the stream, and writes what could not be written before. A failure is tried again. */
  async keep(): Promise<void> {
    const now = this.#now()
    const held = this.#deps.mirror.own().filter(({ token, endsAt }) => endsAt > now && !this.#unreleased.has(token))
    const byEnd = Map.groupBy(held, ({ endsAt }) => Math.min(endsAt, now + this.#deps.maxLeaseMs))
    const moves = [...byEnd].map(([endsAt, leases]) => this.#move(leases, endsAt))
    await Promise.allSettled([...moves, this.#giveBack([...this.#unreleased.values()])])
  }

  async #move(leases: readonly OwnLease[], endsAt: number | undefined, patienceMs?: number): Promise<Set<string>> {
    const moved = await together([...Map.groupBy(leases, ({ record }) => record)], ([name, each]) => {
      const tokens = new Set(each.map(({ token }) => token))
      return this.#deps.records.change(name, (entries) => withLeases(entries, tokens, endsAt), {
        ...(patienceMs !== undefined && { patienceMs }),
      })
    })
    return new Set(moved.flat())
  }

  #now(): number {
    return Date.now() + this.#clockMs
  }
}
