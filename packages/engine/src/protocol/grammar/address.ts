/**
 * IP addresses and ranges, exactly: RFC 4291 2.2 and 5952 for their text, RFC 4632 3.1 for ranges.
 *
 * An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) is the IPv4 address that it stands for, here and in ranges: the same peer is
 * the same address on every listener.
 */
import { OptionError } from '../limits.ts'
import { ipv6Groups } from './path.ts'

/** An IP address as octets: four, or sixteen. */
export type IpOctets = readonly number[]

/** A set of IP addresses, made by {@link addressRanges}. */
export interface AddressRanges {
  /** Returns whether the set contains this end of a connection. */
  includes(endpoint: { readonly family: string; readonly address: string }): boolean
}

interface Range {
  readonly octets: IpOctets
  readonly prefixBits: number
}

const MAPPED: IpOctets = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
const RANGE_ALLOWED = 'an IP address, or a range such as 10.0.0.0/8 or fd00::/8 with no bit set behind its prefix'

const EVERYONE: AddressRanges = { includes: () => true }

/**
 * Parses addresses and CIDR ranges. 'all' contains every client, on every kind of connection.
 * @throws OptionError with the name `field`, if an entry is neither
 */
export function addressRanges(ranges: 'all' | readonly string[], field = 'addressRanges'): AddressRanges {
  if (ranges === 'all') return EVERYONE
  if (!Array.isArray(ranges)) throw new OptionError(field, ranges, "'all' or a list of addresses and ranges")
  const parsed = ranges.map((text: string) => {
    const range = parseRange(text)
    if (range === undefined) throw new OptionError(field, text, RANGE_ALLOWED)
    return range
  })
  return {
    includes({ family, address }) {
      const octets = family === 'ipv4' || family === 'ipv6' ? parseIp(address) : undefined
      return octets !== undefined && parsed.some((range) => covers(range, octets))
    },
  }
}

/** Parses an IP address without brackets or zone. Returns undefined if the text is not one. */
export function parseIp(text: string): IpOctets | undefined {
  if (!text.includes(':')) return parseIpv4(text)
  // The dotted end of an IPv6 address (RFC 4291 2.2, form 3) must not have leading zeros either.
  if (text.includes('.') && parseIpv4(text.slice(text.lastIndexOf(':') + 1)) === undefined) return undefined
  const groups = ipv6Groups(text)
  return groups && unmapped(groups.flatMap((group) => [group >> 8, group & 0xff]))
}

/** Parses an IPv4 address in decimal. It rejects leading zeros, because some programs read them as octal. */
export function parseIpv4(text: string): IpOctets | undefined {
  if (!/^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(text)) return undefined
  const octets = text.split('.').map(Number)
  return octets.every((octet) => octet <= 255) ? octets : undefined
}

/** Returns the IPv4 address inside an IPv4-mapped one, and any other address unchanged. */
export function unmapped(octets: IpOctets): IpOctets {
  return octets.length === 16 && MAPPED.every((octet, i) => octets[i] === octet) ? octets.slice(12) : octets
}

/** Formats an address: dotted decimal, or IPv6 as in RFC 5952 4. */
export function ipText(octets: IpOctets): string {
  if (octets.length === 4) return octets.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0))
  const hex = groups.map((group) => group.toString(16))
  const { start, length } = longestZeros(groups)
  if (length < 2) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}

/** Returns the first of the longest runs of zero groups. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 }
  let length = 0
  groups.forEach((group, i) => {
    length = group === 0 ? length + 1 : 0
    if (length > longest.length) longest = { start: i + 1 - length, length }
  })
  return longest
}

function parseRange(text: unknown): Range | undefined {
  if (typeof text !== 'string') return undefined
  const slash = text.indexOf('/')
  const address = slash < 0 ? text : text.slice(0, slash)
  const octets = parseIp(address)
  if (octets === undefined) return undefined
  const bits = octets.length * 8
  if (slash < 0) return { octets, prefixBits: bits }
  if (!/^(?:0|[1-9]\d{0,2})$/.test(text.slice(slash + 1))) return undefined
  // In a mapped address, the prefix counts from the beginning of the IPv6 form.
  const prefixBits = Number(text.slice(slash + 1)) - (bits === 32 && address.includes(':') ? 96 : 0)
  if (prefixBits < 0 || prefixBits > bits) return undefined
  const hasHostBits = octets.some((octet, i) => (octet & ~maskOf(prefixBits, i)) !== 0)
  return hasHostBits ? undefined : { octets, prefixBits }
}

function covers({ octets, prefixBits }: Range, address: IpOctets): boolean {
  if (octets.length !== address.length) return false
  return octets.every((octet, i) => octet === ((address[i] ?? 0) & maskOf(prefixBits, i)))
}

/** Returns the bits of octet `i` that the prefix covers. */
function maskOf(prefixBits: number, i: number): number {
  const bits = Math.min(8, Math.max(0, prefixBits - 8 * i))
  return (0xff << (8 - bits)) & 0xff
}
