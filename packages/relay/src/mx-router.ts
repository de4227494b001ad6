/** Sends mail to the servers that DNS names for each domain. */
import type { Hop, Route as HopRoute, Router } from './delivery/hop.ts'
import { type FoundRoute, route, type RouteHost, type RouteOptions } from './route/index.ts'

export interface MxRouterOptions extends Omit<RouteOptions, 'requireTls' | 'signal'> {
  /** What TLS must be at least, if neither MTA-STS nor DANE asks for more. Default `may`. */
  readonly tls?: 'may' | 'must' | 'verified' | undefined
}

/** Of one host. So an attempt, which tries ten addresses, gets to the next hosts. */
const MAX_ADDRESSES = 3

/** Makes a router whose destinations are domains. */
export function mxRouter({ tls = 'may', ...options }: MxRouterOptions): Router {
  return {
    async route(destination, { requireTls }): Promise<HopRoute> {
      const found = await route(destination, { maxAddresses: MAX_ADDRESSES, ...options, requireTls })
      return found.status === 'failed' ? found : { hops: hopsOf(found, tls), isComplete: found.isComplete }
    },
  }
}

function hopsOf({ hosts }: FoundRoute, least: 'may' | 'must' | 'verified'): readonly Hop[] {
  return hosts.flatMap((host): readonly Hop[] => {
    const hop = hopOf(host, least)
    return host.path === undefined ? host.addresses.map((address) => ({ ...hop, address })) : [hop]
  })
}

function hopOf(
  { name, port, path, protocol, implicitTls, tls: asked }: RouteHost,
  least: 'may' | 'must' | 'verified',
): Hop {
  const { serverName, names, tlsa } = asked
  const hop = { host: name, port, path, protocol, implicitTls, serverName }
  if (asked.isEnforced && asked.verify === 'dane') return { ...hop, tls: 'must', dane: { tlsa, names } }
  if (asked.isEnforced && asked.verify === 'authorities') return { ...hop, tls: 'verified' }
  if (asked.startTls === 'never') return { ...hop, tls: 'never' }
  return { ...hop, tls: asked.isEnforced && asked.startTls === 'required' && least === 'may' ? 'must' : least }
}
