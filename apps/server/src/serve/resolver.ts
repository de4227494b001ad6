/** Opens the resolver, if an option needs one. Nothing of it is loaded otherwise. */
import type { Resolver, Upstream } from '@postern/dns'
import type { Logger } from '@logtape/logtape'
import type { ResolverAddress } from '../config/urls/resolver-url.ts'
import type { Settings } from '../config/settings.ts'
import { errorText, EXIT, Failure } from '../host/failure.ts'
import { forbidden, isAllowed } from '../host/permission.ts'
import { MAX_LOOKUPS } from './descriptors.ts'

/** A server gets this part of the time, so that others can be asked in the rest of it. */
const SHARE_OF_TIME = 1 / 3

/** @throws Failure if the servers of this machine cannot be read, or if Deno does not allow to ask a server */
export async function openResolver(settings: Settings, log: Logger): Promise<Resolver | undefined> {
  const { resolver, reverseDns, reverseDnsTimeoutMs } = settings.options
  if (!reverseDns) return undefined
  const { createResolver, httpsUpstream } = await import('@postern/dns')
  const { systemUpstreams, udpUpstream } = await import('@postern/dns/sockets')
  const upstreamOf = (given: ResolverAddress): Upstream =>
    given.kind === 'udp' ? udpUpstream(given) : httpsUpstream(given.url)
  const read = async (): ReturnType<typeof systemUpstreams> => {
    if (resolver !== undefined)
      return { upstreams: resolver.map(upstreamOf), attempts: 2, attemptTimeoutMs: Infinity, ignored: [] }
    return systemUpstreams().catch((error: unknown) => {
      const reason = `the DNS servers of this machine cannot be read; give --resolver: ${errorText(error)}`
      throw forbidden(error) ?? failureOf(settings, reason)
    })
  }
  const { upstreams, attempts, attemptTimeoutMs, ignored } = await read()
  for (const reason of ignored) log.debug('a line of /etc/resolv.conf has no effect', { reason })
  checkPermission(settings, upstreams)
  return createResolver({
    upstreams,
    attempts,
    attemptTimeoutMs: Math.min(attemptTimeoutMs, Math.max(1, reverseDnsTimeoutMs * SHARE_OF_TIME)),
    maxQueries: MAX_LOOKUPS,
  })
}

/** Without this, Deno would refuse each query, or ask the user at the terminal in the middle of a session. @throws Failure */
function checkPermission(settings: Settings, upstreams: readonly Upstream[]): void {
  const hosts = upstreams.flatMap(({ url }) => {
    const parsed = URL.parse(url)
    // An address with a zone is no URL.
    if (parsed === null) return []
    const { protocol, host, port, hostname } = parsed
    if (protocol !== 'udp:') return [port === '' ? `${host}:${protocol === 'https:' ? 443 : 80}` : host]
    // A socket for UDP has an address of its own.
    return [host, hostname.startsWith('[') ? '[::]:0' : '0.0.0.0:0']
  })
  const missing = [...new Set(hosts)].filter((host) => !isAllowed({ name: 'net', host }))
  if (missing.length > 0) throw failureOf(settings, `Deno needs --allow-net=${missing.join(',')} to ask DNS servers`)
}

function failureOf({ spelled }: Settings, reason: string): Failure {
  return new Failure(`${spelled('reverseDns')}: ${reason}`, EXIT.misused)
}
