/** What the calls of a queue make of the entries of a record. */
import type { PreparedEntry } from '../checks.ts'
import type { Claim, Settled, Settlement } from '../queue.ts'
import { afterResults, isPending } from '../results.ts'
import { MAX_PLACES, orderOf, type StoredDelivery, type StoredEntry, storedOf } from './record.ts'
import { type Change, newIn } from './table.ts'

/** Names a delivery in a record. */
export interface Place {
  readonly order: number
  readonly index: number
}

/** A lease that is wanted. */
export interface Wish extends Place {
  readonly token: string
  /** When the caller's lease ends. */
  readonly endsAt: number
  /** When the lease in the stream ends, if nobody moves it. */
  readonly storedEndsAt: number
}

/** Returns the name of a lease. It tells which delivery it is about, and which process has it. */
export function tokenOf({ order, index }: Place, by: string): string {
  return `${order}-${index}.${by}.${crypto.randomUUID()}`
}

function isOf(token: string, order: number, index: number): boolean {
  return token.startsWith(`${order}-${index}.`)
}

/** Leases deliveries that are still due, and not held or leased by somebody else. */
export function leased(
  entries: readonly StoredEntry[] | undefined,
  seq: number,
  wishes: readonly Wish[],
  now: number,
): Change<Claim[]> {
  const claims: Claim[] = []
  const after = (entries ?? []).map((entry): StoredEntry => {
    const order = orderOf(entry, seq)
    const deliveries = entry.deliveries.map((delivery, index): StoredDelivery => {
      const wish = wishes.find((each) => each.order === order && each.index === index)
      if (wish === undefined || !isFree(delivery, now)) return delivery
      claims.push(claimOf(entry, delivery, wish))
      return { ...delivery, state: 'due', lease: { token: wish.token, endsAt: wish.storedEndsAt } }
    })
    return { ...entry, deliveries }
  })
  return { entries: claims.length === 0 ? undefined : after, result: claims }
}

function isFree({ state, dueAt, lease }: StoredDelivery, now: number): boolean {
  return (lease === undefined || lease.endsAt <= now) && (state === 'due' || (state === 'waiting' && dueAt <= now))
}

function claimOf({ id, messageId, queuedAt, envelope }: StoredEntry, delivery: StoredDelivery, wish: Wish): Claim {
  const { destination, attempts } = delivery
  const recipients = delivery.recipients.flatMap((recipient, index) =>
    isPending(recipient) ? [{ ...recipient, index }] : [],
  )
  const { token: lease, endsAt: leaseEndsAt } = wish
  return { id, destination, lease, leaseEndsAt, messageId, queuedAt, envelope, attempts, recipients }
}

/** Moves the end of leases, or ends them if it is undefined. Returns the tokens of those that were there. */
export function withLeases(
  entries: readonly StoredEntry[] | undefined,
  tokens: ReadonlySet<string>,
  endsAt: number | undefined,
): Change<string[]> {
  const found: string[] = []
  const after = (entries ?? []).map((entry) => ({
    ...entry,
    deliveries: entry.deliveries.map((delivery): StoredDelivery => {
      const { lease, ...rest } = delivery
      if (lease === undefined || !tokens.has(lease.token)) return delivery
      found.push(lease.token)
      return endsAt === undefined ? rest : { ...delivery, lease: { ...lease, endsAt } }
    }),
  }))
  return { entries: found.length === 0 ? undefined : after, result: found }
}

/** A settlement with its checked entries. */
export interface PreparedSettlement {
  readonly settlement: Settlement
  readonly added: readonly PreparedEntry[]
}

/**
 * Applies settlements of deliveries of one record.
 * @param isHeld Returns whether a lease of this process has not ended
 * @throws QueueError `invalid`
 */
export function settled(
  entries: readonly StoredEntry[] | undefined,
  seq: number,
  settlements: readonly PreparedSettlement[],
  isHeld: (token: string) => boolean,
): Change<Settled[]> & { readonly added: readonly PreparedEntry[] } {
  let after = [...(entries ?? [])]
  let hasChanged = false
  const added: PreparedEntry[] = []
  const result = settlements.map((each): Settled => {
    const { claim } = each.settlement
    const entry = after.find(({ id }) => id === claim.id)
    const order = entry === undefined ? 0 : orderOf(entry, seq)
    const index = entry?.deliveries.findIndex((_, at) => isOf(claim.lease, order, at)) ?? -1
    const delivery = entry?.deliveries[index]
    if (entry === undefined || delivery === undefined) return { status: 'gone', isFinished: false }
    const isLate = delivery.lease?.token !== claim.lease || !isHeld(claim.lease)
    const next = afterwards(delivery, each.settlement, isLate)
    if (next !== undefined) {
      hasChanged = true
      added.push(...each.added)
      const deliveries = entry.deliveries.with(index, next)
      after = after.with(after.indexOf(entry), { ...entry, deliveries })
    }
    const now = after.find(({ id }) => id === claim.id)
    return {
      status: isLate ? 'late' : 'settled',
      isFinished: now?.deliveries.every(({ state }) => state === 'finished') ?? false,
    }
  })
  return { entries: hasChanged ? after : undefined, result, added }
}

/** Returns a delivery after an attempt; undefined if nothing of it is recorded. */
function afterwards(delivery: StoredDelivery, settlement: Settlement, isLate: boolean): StoredDelivery | undefined {
  const { lease, ...rest } = delivery
  const recipients = afterResults(delivery.recipients, settlement, isLate)
  const hasChanged = recipients.some((recipient, at) => recipient !== delivery.recipients[at])
  if (isLate && !hasChanged) return undefined
  const isLeft = recipients.some(isPending)
  const waits = isLate || delivery.state === 'held' ? delivery.state : 'waiting'
  return {
    ...rest,
    state: isLeft ? waits : 'finished',
    dueAt: isLate || !isLeft ? delivery.dueAt : (settlement.dueAt ?? delivery.dueAt),
    attempts: delivery.attempts + (hasChanged ? 1 : 0),
    recipients,
    // Late: another attempt is on its way, and has its lease.
    ...(isLate && lease !== undefined && { lease }),
  }
}

/** Adds entries to a record. Returns undefined if it has no place for so many. */
export function withAdded(entries: readonly StoredEntry[], added: readonly PreparedEntry[]): StoredEntry[] | undefined {
  if (added.length > MAX_PLACES) return undefined
  return [...entries, ...added.map((entry, at) => newIn(storedOf(entry, at)))]
}

/** Changes the deliveries of some entries. Returns how many of these entries there are. */
export function managed(
  entries: readonly StoredEntry[] | undefined,
  ids: ReadonlySet<string>,
  change: (delivery: StoredDelivery, entry: StoredEntry) => StoredDelivery,
): Change<number> {
  let count = 0
  const after = (entries ?? []).map((entry) => {
    if (!ids.has(entry.id)) return entry
    count++
    return { ...entry, deliveries: entry.deliveries.map((delivery) => change(delivery, entry)) }
  })
  return { entries: count === 0 ? undefined : after, result: count }
}

/** Removes entries. Returns how many there were. */
export function without(entries: readonly StoredEntry[] | undefined, ids: ReadonlySet<string>): Change<number> {
  const left = (entries ?? []).filter(({ id }) => !ids.has(id))
  const count = (entries ?? []).length - left.length
  return { entries: count === 0 ? undefined : left, result: count }
}
