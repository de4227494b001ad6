/** Checks the client address that another Worker gives, because it goes into the trace header. */
import type { Endpoint } from '@postern/engine'

const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/

/** The client: `{ address: '192.0.2.7', port: 40123 }`. Without an address it is unknown. */
export interface Peer {
  readonly address: string
  readonly port?: number
}

/** Makes the endpoint of a client. @throws TypeError if it is not an IP address and a port */
export function endpointOf(peer: Peer | undefined): Endpoint {
  const { address = '', port = 0 } = peer ?? {}
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new TypeError('peer.port: not a port')
  if (address === '') return { family: 'unknown', address, port: 0 }
  if (IPV4.test(address) && address.split('.').every((part) => Number(part) < 256)) {
    return { family: 'ipv4', address, port }
  }
  if (!/^[0-9a-f:.]{2,45}$/i.test(address) || !URL.canParse(`http://[${address}]`)) {
    throw new TypeError('peer.address: not an IP address')
  }
  return { family: 'ipv6', address, port }
}
