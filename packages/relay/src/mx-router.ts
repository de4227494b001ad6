/** Sends mail to the servers that DNS names for each domain. */
import { asciiDomain } from '@postern/engine'
import type { Hop, Route as HopRoute, Router } from './delivery/hop.ts'
import { type FoundRoute, route, type RouteHost, type RouteOptions } from './route/index.ts'
import type { TlsCounts } from './tls-report/index.ts'

export interface MxRouterOptions extends Omit<RouteOptions, 'requireTls' | 'signal'> {
  /** What TLS must be at least, if neither MTA-STS nor DANE asks for more. Default `may`. */
  readonly tls?: 'may' | 'must' | 'verified' | undefined
  /** Counts the policies that cannot be used, and `countTls` the connections to the hops. Default: nothing is counted. */
  readonly tlsCounts?: TlsCounts | undefined
}

/** Of one host. So an attempt, which tries ten addresses, gets to the next hosts. */
const MAX_ADDRESSES = 3

/** Makes a router whose destinations are domains. */
export function mxRouter({ tls = 'may', tlsCounts, ...options }: MxRouterOptions): Router {
  return {
    async route(destination, { requireTls, isTlsReport = false }): Promise<HopRoute> {
      const given: RouteOptions = { maxAddresses: MAX_ADDRESSES, ...options, requireTls }
      if (isTlsReport) {
        const found = await route(destination, { ...given, sts: undefined, trustsDnssec: false })
        return found.status === 'failed' ? found : { hops: hopsOf(found, 'may', undefined) }
      }
      const found = await route(destination, given)
      const domain = tlsCounts === undefined ? undefined : asciiDomain(destination)
      if (domain !== undefined) {
        for (const { type, policy, host, detail } of found.policyFailures)
          tlsCounts?.count(domain, policy, { type, host, detail, sendingAddress: '', receivingAddress: '' })
      }
      if (found.status === 'failed') return found
      return { hops: hopsOf(found, tls, domain), isComplete: found.isComplete }
    },
  }
}

/** @param domain For which TLS is counted; undefined: it is not */
function hopsOf({ hosts }: FoundRoute, least: 'may' | 'must' | 'verified', domain: string | undefined): readonly Hop[] {
  return hosts.flatMap((host): readonly Hop[] => {
    const isCounted = domain !== undefined && host.smarthost === undefined
    const hop = { ...hopOf(host, least), ...(isCounted && { counted: { domain, requirement: host.tls } }) }
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
