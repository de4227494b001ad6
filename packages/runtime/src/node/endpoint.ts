/** The endpoints of a Node socket. */
import type { Endpoint } from '@postern/engine'
import type { AddressInfo, Socket } from 'node:net'
import { ipEndpoint, unixEndpoint } from '../common/endpoint.ts'

export function remoteEndpoint(socket: Socket): Endpoint {
  return ipEndpoint(socket.remoteAddress, socket.remotePort)
}

export function localEndpoint(socket: Socket): Endpoint {
  return ipEndpoint(socket.localAddress, socket.localPort)
}

/** Makes an endpoint from the result of `net.Server.address`. */
export function listenerEndpoint(address: AddressInfo | string | null): Endpoint {
  if (typeof address === 'string') return unixEndpoint(address)
  return ipEndpoint(address?.address, address?.port)
}
