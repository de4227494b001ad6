/**
 * Bounds the number of connections, in all and from one address. Keeps some places free for new addresses and for
 * submission.
 */
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
  /** True if the connection is for submission: the client must authenticate before it sends mail. */
  readonly isSubmission: boolean
  /** Gives the place back. Does nothing on a second call. */
  leave(): void
}

/** Gives out places for connections. */
export interface Places {
  /**
   * Takes a place for a connection. Returns undefined if there is none.
   *
   * @param instead The place of another connection, which is given back for this one. If that does not free a usable
   *   place, the other connection keeps it.
   */
  enter(remote: Endpoint, isSubmission?: boolean, instead?: Place): Place | undefined
  /** Returns how many connections of the same address have a place; 0 if there is no address. */
  count(remote: Endpoint): number
}

/** The connections that have a place. */
export interface Occupancy {
  readonly total: number
  /** The connections for submission among them. */
  readonly submissions: number
  /** The connections of the address that asks for a place; 0 if there is no address. */
  readonly ofAddress: number
}

const MAX_TURNED_AWAY = 100
const MIN_TURNED_AWAY = 16

/**
 * Returns how many refused connections may get a reply at the same time. Further ones are closed without a reply. A
 * server with few places answers fewer, because each of these connections needs a file descriptor.
 */
export function maxTurnedAway(maxConnections: number): number {
  return Math.min(MAX_TURNED_AWAY, Math.max(MIN_TURNED_AWAY, maxConnections / 4))
}

/** The part of all places that is kept for addresses without a connection. The same part again is kept for submission. */
const KEPT_SHARE = 1 / 10

/**
 * Returns whether there is a place for one more connection. A tenth of `maxConnections` is kept for addresses that have
 * no connection yet. Another tenth is kept for submission if the limits say so. With fewer than ten places, none are
 * kept.
 * @param isInstead The connection replaces another one, so it needs none of the places that are kept for new addresses
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

/** Counts connections and decides which may come in: for a server, and for a front. */
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

/** Counts a connection, or stops counting it. */
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
 * Returns the key under which a client is counted; '' for clients that are not counted. A customer's network is at
 * least a /64 (RFC 6177), so IPv6 addresses are counted by /64. IPv4-mapped addresses count as IPv4, because one prefix
 * contains all of them.
 */
export function addressKey({ family, address }: Endpoint): string {
  if (family === 'ipv4') return address
  if (family !== 'ipv6') return ''
  return parseIp(address)?.slice(0, 8).join('.') ?? address
}
