/** Addresses of hosts. */
import type { Answer, Resolver, ResolveOptions } from '@postern/dns/names'
import { type AddressRanges, ipText, parseIp } from '@postern/engine'

/** Which addresses are looked up and tried. */
export type Families = 'both' | 'ipv4' | 'ipv6'

export interface HostAddresses {
  /** Both families take turns, IPv6 first. Empty if there are none. */
  readonly addresses: readonly string[]
  /** One line, if an answer is missing. There may be addresses all the same. */
  readonly failure: string | undefined
  /** The names that have the addresses: after CNAME records, then the one that was asked for. */
  readonly names: readonly string[]
  /** DNSSEC vouches for all of them. */
  readonly isAuthentic: boolean
}

/** RFC 6761 6.3: resolvers need not know it. */
const LOCALHOST: readonly string[] = ['::1', '127.0.0.1']

export async function addressesOf(
  name: string,
  resolver: Resolver,
  families: Families,
  maxAddresses: number,
  options: ResolveOptions,
): Promise<HostAddresses> {
  const literal = literalAddress(name)
  const known = literal === undefined ? (name === 'localhost' ? LOCALHOST : undefined) : [literal]
  if (known !== undefined) return { addresses: known, failure: undefined, names: [name], isAuthentic: false }
  const [six, four] = await Promise.all([
    families === 'ipv4' ? undefined : resolver.resolve(name, 'AAAA', options),
    families === 'ipv6' ? undefined : resolver.resolve(name, 'A', options),
  ])
  const answers = [six, four].filter((answer) => answer !== undefined)
  const found = answers.filter((answer) => answer.status === 'found')
  const alias = found.find((answer) => answer.name !== name)?.name
  return {
    addresses: alternating(recordsOf(six), recordsOf(four)).slice(0, maxAddresses),
    failure: answers.find((answer) => answer.status === 'failed')?.detail,
    names: alias === undefined ? [name] : [alias, name],
    isAuthentic: found.length > 0 && found.every((answer) => answer.isAuthentic),
  }
}

/**
 * Returns the IP address of an address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`, or of a bare address; undefined for any other
 * text.
 */
export function literalAddress(text: string): string | undefined {
  const isBracketed = text.startsWith('[') && text.endsWith(']')
  const content = isBracketed ? text.slice(1, -1) : text
  const tagged = isBracketed && content.slice(0, 5).toLowerCase() === 'ipv6:'
  const octets = parseIp(tagged ? content.slice(5) : content)
  return octets && ipText(octets)
}

/** Returns whether a connection to this address would come back to this machine. */
export function isOwn(address: string, own: AddressRanges): boolean {
  return own.includes({ family: address.includes(':') ? 'ipv6' : 'ipv4', address })
}

function recordsOf(answer: Answer<'A' | 'AAAA'> | undefined): readonly string[] {
  return answer?.status === 'found' ? answer.records : []
}

/** One after the other, so that a family that does not work costs one attempt (RFC 8305 4). */
function alternating(first: readonly string[], second: readonly string[]): readonly string[] {
  const length = Math.max(first.length, second.length)
  return Array.from({ length }, (_, at) => [first[at], second[at]])
    .flat()
    .filter((address) => address !== undefined)
}
