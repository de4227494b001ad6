/** How many connections there may be, overall and from one address. */
import type { Endpoint } from '../duplex.ts'
import { parseIp } from '../protocol/address.ts'
import type { Limits } from '../protocol/limits.ts'

/** Of `Limits`, those on connections. */
export type AdmissionLimits = Pick<Limits, 'maxConnections' | 'maxConnectionsPerAddress'>

/** The place of a connection among all that there may be. */
export interface Place {
  /** Gives it back. Does nothing if that was done before. */
  leave(): void
}

/** Gives out places for connections. */
export interface Places {
  /** Takes a place for a connection. Returns undefined if there is none. */
  enter(remote: Endpoint): Place | undefined
}

/** Counts connections, and says which may come in: for a server, and for whatever stands in front of one. */
export class Admission implements Places {
  readonly #limits: AdmissionLimits
  readonly #perAddress = new Map<string, number>()
  #total = 0

  constructor(limits: AdmissionLimits) {
    this.#limits = limits
  }

  enter(remote: Endpoint): Place | undefined {
    if (this.#total >= this.#limits.maxConnections) return undefined
    const address = addressKey(remote)
    const fromAddress = address === '' ? 0 : (this.#perAddress.get(address) ?? 0)
    if (fromAddress >= this.#limits.maxConnectionsPerAddress) return undefined
    this.#total++
    if (address !== '') this.#perAddress.set(address, fromAddress + 1)
    let isTaken = true
    return {
      leave: () => {
        if (isTaken) this.#leave(address)
        isTaken = false
      },
    }
  }

  #leave(address: string): void {
    this.#total--
    if (address === '') return
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left > 0) this.#perAddress.set(address, left)
    else this.#perAddress.delete(address)
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
