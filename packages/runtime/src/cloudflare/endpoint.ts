/** Makes the engine's endpoint from workerd's text for an end of a socket. */
import type { Endpoint } from '@postern/engine'
import { ipEndpoint, UNKNOWN_ENDPOINT } from '../common/endpoint.ts'

/** '192.0.2.1:25' or '[2001:db8::1]:25'. */
const ADDRESS = /^(?:\[([0-9a-f:.%]+)\]|(\d+(?:\.\d+){3})):(\d{1,5})$/i

/**
 * Makes an endpoint. Returns the unknown endpoint if the text is not an IP address with a port. That is so for RPC and
 * service bindings.
 */
export function socketEndpoint(address: string | undefined): Endpoint {
  const [, ipv6, ipv4, port] = ADDRESS.exec(address ?? '') ?? []
  return port === undefined ? UNKNOWN_ENDPOINT : ipEndpoint(ipv6 ?? ipv4, Number(port))
}
