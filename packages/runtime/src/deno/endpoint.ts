/** Makes the engine's endpoint from Deno's address. */
import type { Endpoint } from '@postern/engine'
import { ipEndpoint, unixEndpoint } from '../common/endpoint.ts'
import type { DenoAddress } from './api.ts'

export function endpoint({ transport, hostname, port, path }: DenoAddress): Endpoint {
  return transport === 'unix' ? unixEndpoint(path ?? '') : ipEndpoint(hostname, port)
}
