/** Makes the engine's endpoints from what runtimes report about the two ends of a socket. */
import type { Endpoint } from '@postern/engine'

/** The prefix of an IPv4 address in IPv6 form (RFC 4291 2.5.5.2). */
const MAPPED = '::ffff:'

/** The endpoint of a socket that is closed already. */
export const UNKNOWN_ENDPOINT: Endpoint = { family: 'unknown', address: '', port: 0 }

/** Makes the endpoint of a Unix socket. The end that dialled has no path. */
export function unixEndpoint(path = ''): Endpoint {
  return { family: 'unix', address: path, port: 0 }
}

/**
 * Makes the endpoint of an IP address. An IPv4 address in IPv6 form becomes IPv4. Removes a zone, because it means
 * nothing on another machine.
 */
export function ipEndpoint(address = '', port = 0): Endpoint {
  if (!address.includes(':')) return address === '' ? UNKNOWN_ENDPOINT : { family: 'ipv4', address, port }
  if (address.startsWith(MAPPED) && address.includes('.')) {
    return { family: 'ipv4', address: address.slice(MAPPED.length), port }
  }
  return { family: 'ipv6', address: address.replace(/%.*/, ''), port }
}
