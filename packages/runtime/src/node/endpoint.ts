/** The two ends of a socket of Node. */
import type { Endpoint } from '@postern/engine'
import type { AddressInfo, Socket } from 'node:net'
import { ipEndpoint, unixEndpoint } from '../common/endpoint.ts'

export function remoteEndpoint(socket: Socket): Endpoint {
  return ipEndpoint(socket.remoteAddress, socket.remotePort)
}

export function localEndpoint(socket: Socket): Endpoint {
  return ipEndpoint(socket.localAddress, socket.localPort)
}

/** Makes the endpoint of what `net.Server.address` answers. */
export function listenerEndpoint(address: AddressInfo | string | null): Endpoint {
  if (typeof address === 'string') return unixEndpoint(address)
  return ipEndpoint(address?.address, address?.port)
}
