/** What runtimes call the two ends of a socket, as the engine calls them. */
import type { Endpoint } from '@postern/engine'

/** Before an IPv4 address in IPv6 form (RFC 4291 2.5.5.2). */
const MAPPED = '::ffff:'

/** Of a socket that is gone already. */
export const UNKNOWN_ENDPOINT: Endpoint = { family: 'unknown', address: '', port: 0 }

/** A Unix socket; the end that dialled has no path. */
export function unixEndpoint(path = ''): Endpoint {
  return { family: 'unix', address: path, port: 0 }
}

/** IPv4 that came in over an IPv6 listener is IPv4; a zone means nothing to anyone else. */
export function ipEndpoint(address = '', port = 0): Endpoint {
  if (!address.includes(':')) return address === '' ? UNKNOWN_ENDPOINT : { family: 'ipv4', address, port }
  if (address.startsWith(MAPPED) && address.includes('.')) {
    return { family: 'ipv4', address: address.slice(MAPPED.length), port }
  }
  return { family: 'ipv6', address: address.replace(/%.*/, ''), port }
}
