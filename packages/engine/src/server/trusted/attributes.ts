/** The attributes of XCLIENT and XFORWARD: `NAME=value`, in xtext, as Postfix's XCLIENT_README and XFORWARD_README define them. */
import type { Endpoint } from '../../duplex.ts'
import { decodeXtext } from '../../protocol/extensions/parameters.ts'
import { type AddressRanges, ipText, parseIp } from '../../protocol/grammar/address.ts'
import { type Reply, reply } from '../../protocol/grammar/reply.ts'

export interface TrustOptions {
  /** The clients that may send the command. No other client sees it in the reply to EHLO. */
  readonly trusted: AddressRanges
}

/** The value of an attribute: `[UNAVAILABLE]` is undefined, and `[TEMPUNAVAIL]` is null. */
export type Value = string | undefined | null

const MAX_VALUE_LENGTH = 255
/** Octets that the attributes may add to a command line. Names and logins are long. */
export const MORE_LINE_OCTETS = 1_536
const ADDRESS_PREFIX = /^IPV6:/i
const MALFORMED = reply(501, '5.5.4', 'Malformed attribute')
const UNKNOWN_ENDPOINT: Endpoint = { family: 'unknown', address: '', port: 0 }

/** Returns the values by upper-case name, or the reply that refuses the command. */
export function readAttributes<Name extends string>(
  argument: string,
  names: readonly Name[],
): ReadonlyMap<Name, Value> | Reply {
  const values = new Map<Name, Value>()
  for (const part of argument.split(' ')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const written = part.slice(0, Math.max(0, equals)).toUpperCase()
    const name = names.find((known) => known === written)
    const value = decodeXtext(part.slice(equals + 1))
    if (name === undefined || value === undefined || value === '' || value.length > MAX_VALUE_LENGTH) return MALFORMED
    if (values.has(name)) return MALFORMED
    values.set(name, meaningOf(value))
  }
  return values.size === 0 ? MALFORMED : values
}

function meaningOf(value: string): Value {
  switch (value.toUpperCase()) {
    case '[UNAVAILABLE]':
      return undefined
    case '[TEMPUNAVAIL]':
      return null
    default:
      return value
  }
}

/** Returns a value without characters that have a meaning in a message header. */
export function harmless(value: string): string {
  return value.replace(/[^\x21-\x7e]|[<>()\\";]/g, '?')
}

/** Returns an address without its prefix. */
export function withoutPrefix(address: string): string {
  return address.replace(ADDRESS_PREFIX, '')
}

/** Reads a port. Returns undefined if it is not one. */
export function readPort(text: string): number | undefined {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined
}

/**
 * Returns the end of a connection that an address and a port name, or the reply that refuses them.
 * @param present Both, if the client gave them
 * @param now The end as it is. If the client gave no address, it stays
 */
export function endpointFrom(
  present: { readonly address?: Value; readonly hasAddress: boolean; readonly port?: Value },
  now: Endpoint,
): Endpoint | Reply {
  const { address, hasAddress, port } = present
  const portNumber = typeof port === 'string' ? readPort(port) : 0
  if (portNumber === undefined) return MALFORMED
  if (!hasAddress) return { ...now, port: portNumber }
  if (typeof address !== 'string') return UNKNOWN_ENDPOINT
  const octets = parseIp(withoutPrefix(address))
  if (octets === undefined) return MALFORMED
  return { family: octets.length === 4 ? 'ipv4' : 'ipv6', address: ipText(octets), port: portNumber }
}
