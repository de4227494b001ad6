/** What Node calls the two ends of a socket, as the engine calls them. */
import type { Endpoint } from '@postern/engine'
import type { AddressInfo, Socket } from 'node:net'

/** Before an IPv4 address in IPv6 form (RFC 4291 2.5.5.2). */
const MAPPED = '::ffff:'

/** Of a socket that is gone already. */
const UNKNOWN: Endpoint = { family: 'unknown', address: '', port: 0 }

/** A Unix socket; the end that dialled has no path. */
export function unixEndpoint(path = ''): Endpoint {
  return { family: 'unix', address: path, port: 0 }
}

export function remoteEndpoint(socket: Socket): Endpoint {
  return endpoint(socket.remoteFamily, socket.remoteAddress, socket.remotePort)
}

export function localEndpoint(socket: Socket): Endpoint {
  return endpoint(socket.localFamily, socket.localAddress, socket.localPort)
}

/** What `net.Server.address` answers. */
export function listenerEndpoint(address: AddressInfo | string | null): Endpoint {
  if (typeof address === 'string') return unixEndpoint(address)
  return endpoint(address?.family, address?.address, address?.port)
}

/** IPv4 that came in over an IPv6 listener is IPv4; a zone means nothing to anyone else. */
function endpoint(family: string | undefined, address = '', port = 0): Endpoint {
  if (family === 'IPv4') return { family: 'ipv4', address, port }
  if (family !== 'IPv6') return UNKNOWN
  if (address.startsWith(MAPPED) && address.includes('.')) {
    return { family: 'ipv4', address: address.slice(MAPPED.length), port }
  }
  return { family: 'ipv6', address: address.replace(/%.*/, ''), port }
}
