/** The name of a client, which its address and its name must both confirm: RFC 8601 3, "iprev". */
import { asciiDomain, ipText, parseIp } from '@postern/engine'
import type { ResolveOptions, Resolver } from '../answer.ts'
import { reverseName } from './reverse.ts'

/**
 * - `pass`: the address has this name, and the name has the address.
 * - `fail`: it has names, and none of them has the address.
 * - `permerror`: it has no name.
 * - `temperror`: nobody knows now. `detail` is one line for a log.
 */
export type ConfirmedName =
  | { readonly result: 'pass'; readonly name: string }
  | { readonly result: 'fail' | 'permerror' }
  | { readonly result: 'temperror'; readonly detail: string }

/** More names of an address are not looked at (RFC 8601 3, RFC 7208 4.6.4). */
const MAX_NAMES = 10

/**
 * Looks for the name of an address. The names are looked up one after another, so a client with many names makes one query at a time.
 *
 * @param address An IP address; an IPv4-mapped one is the IPv4 address
 */
export async function confirmedName(
  address: string,
  resolver: Resolver,
  options: ResolveOptions = {},
): Promise<ConfirmedName> {
  const octets = parseIp(address)
  const reverse = reverseName(address)
  if (octets === undefined || reverse === undefined) return { result: 'permerror' }
  const pointers = await resolver.resolve(reverse, 'PTR', options)
  if (pointers.status === 'failed') return { result: 'temperror', detail: pointers.detail }
  if (pointers.status !== 'found') return { result: 'permerror' }
  const type = octets.length === 4 ? 'A' : 'AAAA'
  const own = ipText(octets)
  let detail: string | undefined
  for (const pointer of pointers.records.slice(0, MAX_NAMES)) {
    // Whoever has the address chooses the name, which goes into headers and logs.
    const name = asciiDomain(pointer)
    if (name === undefined) continue
    const addresses = await resolver.resolve(name, type, options)
    if (addresses.status === 'failed') detail ??= addresses.detail
    else if (addresses.status === 'found' && addresses.records.includes(own)) return { result: 'pass', name }
  }
  return detail === undefined ? { result: 'fail' } : { result: 'temperror', detail }
}
