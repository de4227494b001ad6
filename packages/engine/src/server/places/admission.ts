/** How many connections there may be, overall and from one address, and for whom some places are kept. */
import type { Endpoint } from '../../duplex.ts'
import { parseIp } from '../../protocol/grammar/address.ts'
import type { Limits } from '../../protocol/limits.ts'

/** The limits on connections. */
export interface AdmissionLimits extends Pick<Limits, 'maxConnections' | 'maxConnectionsPerAddress'> {
  /** Keep a tenth of the places for submission. Default false. */
  readonly keepsForSubmission?: boolean
}

/** The place of a connection among all that there may be. */
export interface Place {
  /** Whether the connection is one for submission: it has to authenticate before it sends mail. */
  readonly isSubmission: boolean
  /** Gives it back. Does nothing if that was done before. */
  leave(): void
}

/** Gives out places for connections. */
export interface Places {
  /**
   * Takes a place for a connection. Returns undefined if there is none.
   *
   * @param instead The place of another connection, which is given back for it. If that does not free a usable place, the other connection keeps it.
   */
  enter(remote: Endpoint, isSubmission?: boolean, instead?: Place): Place | undefined
  /** How many connections have a place that are of the same address; 0 if it has none. */
  count(remote: Endpoint): number
}

/** Connections that have a place. */
export interface Occupancy {
  readonly total: number
  /** Those of them for submission. */
  readonly submissions: number
  /** Those of the address that asks for one more; 0 if it has none. */
  readonly ofAddress: number
}

const MAX_TURNED_AWAY = 100
const MIN_TURNED_AWAY = 16

/**
 * How many connections over the limit are told so at the same time; beyond them they are closed without a word. A server with few
 * places tells fewer, because each takes a descriptor.
 */
export function maxTurnedAway(maxConnections: number): number {
  return Math.min(MAX_TURNED_AWAY, Math.max(MIN_TURNED_AWAY, maxConnections / 4))
}

/** Of all places, what is kept for addresses that have none yet, and as much again for submission. */
const KEPT_SHARE = 1 / 10

/**
 * Whether there is a place for one more. A tenth of `maxConnections` is kept for connections of an address that has none yet, and
 * another tenth for submission, if that is wanted; of fewer than ten, nothing is kept.
 *
 * @param isInstead It replaces another connection, so it needs none of the places that are kept for new addresses
 */
export function hasPlace(
  { maxConnections, maxConnectionsPerAddress, keepsForSubmission = false }: AdmissionLimits,
  { total, submissions, ofAddress }: Occupancy,
  isSubmission: boolean,
  isInstead: boolean,
): boolean {
  if (ofAddress >= maxConnectionsPerAddress) return false
  const kept = Math.floor(maxConnections * KEPT_SHARE)
  const most = maxConnections - (ofAddress === 0 || isInstead ? 0 : kept)
  if (total >= most) return false
  return isSubmission || !keepsForSubmission || total - submissions < most - kept
}

/** Counts connections, and says which may come in: for a server, and for whatever stands in front of one. */
export class Admission implements Places {
  readonly #limits: AdmissionLimits
  readonly #perAddress = new Map<string, number>()
  #total = 0
  #submissions = 0

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  enter(remote: Endpoint, isSubmission: boolean = false, instead?: Place): Place | undefined {
    const given = instead instanceof Seat && instead.isTaken ? instead : undefined
    given?.leave()
    const address = addressKey(remote)
    const ofAddress = this.#perAddress.get(address) ?? 0
    const occupancy = { total: this.#total, submissions: this.#submissions, ofAddress }
    if (hasPlace(this.#limits, occupancy, isSubmission, given !== undefined)) {
      return new Seat(this.#change, address, isSubmission)
    }
    given?.take()
    return undefined
  }

  count(remote: Endpoint): number {
    return this.#perAddress.get(addressKey(remote)) ?? 0
  }

  readonly #change: Change = (address, isSubmission, more) => {
    this.#total += more
    if (isSubmission) this.#submissions += more
    if (address === '') return
    const count = (this.#perAddress.get(address) ?? 0) + more
    if (count > 0) this.#perAddress.set(address, count)
    else this.#perAddress.delete(address)
  }
}

/** Counts a connection, or no longer. */
type Change = (address: string, isSubmission: boolean, more: 1 | -1) => void

/** A place of an {@link Admission}. */
class Seat implements Place {
  readonly isSubmission: boolean
  isTaken = false
  readonly #address: string
  readonly #change: Change

  constructor(change: Change, address: string, isSubmission: boolean) {
    this.#change = change
    this.#address = address
    this.isSubmission = isSubmission
    this.take()
  }

  take(): void {
    this.isTaken = true
    this.#change(this.#address, this.isSubmission, 1)
  }

  leave(): void {
    if (!this.isTaken) return
    this.isTaken = false
    this.#change(this.#address, this.isSubmission, -1)
  }
}

/**
 * What one client is counted by; '' is nobody in particular, and not counted. A customer's network is a /64 at least (RFC
 * 6177), so one IPv6 address is no bound; but behind the prefix of IPv4-mapped addresses is all of IPv4.
 */
export function addressKey({ family, address }: Endpoint): string {
  if (family === 'ipv4') return address
  if (family !== 'ipv6') return ''
  return parseIp(address)?.slice(0, 8).join('.') ?? address
}
