/** The names under which the names of addresses are: RFC 1035 3.5, RFC 3596 2.5. */
import { parseIp } from '@postern/engine'

/** Returns the name whose PTR records name the host with this address. An IPv4-mapped address is the IPv4 address. undefined: it is no address. */
export function reverseName(address: string): string | undefined {
  const octets = parseIp(address)
  if (octets === undefined) return undefined
  if (octets.length === 4) return `${octets.toReversed().join('.')}.in-addr.arpa`
  const nibbles = octets.flatMap((octet) => [octet >> 4, octet & 15]).map((nibble) => nibble.toString(16))
  return `${nibbles.toReversed().join('.')}.ip6.arpa`
}
