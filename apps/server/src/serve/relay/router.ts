/** Finds the server that mail goes to: that of `--relay`, or those that DNS names. Connects to it. */
import { isIP } from 'node:net'
import { addressRanges } from '@postern/engine'
import type { Client, ClientTimeouts } from '@postern/engine/client'
import type { Resolver } from '@postern/dns'
import { type Hop, mxRouter, type Router } from '@postern/relay'
import { addressOf, hopOf, isLmtpDestination, smarthostRouter } from '@postern/relay/onward'
import type { StsPolicies } from '@postern/relay/route'
import type { TlsCounts } from '@postern/relay/tls-report'
import type { Settings } from '../../config/settings.ts'
import type { Runtime } from '../../host/runtime.ts'

/** What `mx` needs. */
export interface MxDeps {
  readonly resolver: Resolver
  readonly policies: StsPolicies
  /** Counts policies that cannot be used. */
  readonly tlsCounts?: TlsCounts | undefined
}

/** @param mx undefined: mail goes to the server of `--relay` */
export function routerOf(settings: Settings, mx: MxDeps | undefined): Router {
  const router = mx === undefined ? smarthostRouter(settings.options.relay) : routerByMx(settings, mx)
  return {
    route: (destination, wish) =>
      isLmtpDestination(destination)
        ? Promise.resolve({ hops: [hopOf(destination)] })
        : router.route(destination, wish),
  }
}

function routerByMx({ options }: Settings, { resolver, policies, tlsCounts }: MxDeps): Router {
  const { hostname, listen, relayMxPort, relayTls } = options
  const isOwnPort = listen.some(({ port }) => port === relayMxPort)
  return mxRouter({
    resolver,
    ownNames: [hostname],
    // On another port, an address of this machine is another server.
    ...(!isOwnPort && { ownAddresses: addressRanges([]) }),
    port: relayMxPort,
    trustsDnssec: options.relayTrustDnssec,
    sts: policies,
    tls: relayTls,
    tlsCounts,
  })
}

export interface ConnectDeps extends Pick<Runtime, 'connect'> {
  readonly hostname: string
  /** PEM of authorities that are trusted in place of those of the runtime. */
  readonly ca: readonly string[]
  readonly connectTimeoutMs?: number | undefined
  readonly timeouts?: Partial<ClientTimeouts> | undefined
}

/**
 * Connects to a hop, and checks its certificate.
 * @param isInClear The handshake with this hop has failed, and TLS is only a wish
 * @throws ClientError
 */
export async function connectTo(
  hop: Hop,
  isInClear: boolean,
  signal: AbortSignal,
  { connect, hostname, ca, connectTimeoutMs, timeouts }: ConnectDeps,
): Promise<Client> {
  const { dane, host, serverName = host, tls } = hop
  return connect(addressOf(hop, isInClear), {
    hostname,
    signal,
    ...(connectTimeoutMs !== undefined && { connectTimeoutMs }),
    ...(timeouts !== undefined && { timeouts }),
    tls: {
      ...(serverName !== '' && !serverName.startsWith('[') && isIP(serverName) === 0 && { servername: serverName }),
      ...(ca.length > 0 && { ca: [...ca] }),
      verify: tls === 'verified',
    },
    ...(dane !== undefined && { verifyServer: ({ certificates }) => verifyByDane(dane, certificates) }),
  })
}

/** @throws DaneError */
async function verifyByDane(dane: NonNullable<Hop['dane']>, certificates: readonly Uint8Array[]): Promise<void> {
  const { requireDane } = await import('@postern/relay/route')
  await requireDane({ ...dane, certificates, now: Date.now() })
}
