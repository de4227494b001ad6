/** Opens the resolver, if an option needs one. Nothing of it is loaded otherwise. */
import type { Resolver, Servers, Upstream } from '@postern/dns'
import type { Logger } from '@logtape/logtape'
import type { ResolverAddress } from '../config/urls/resolver-url.ts'
import type { Settings } from '../config/settings.ts'
import { errorText, Failure } from '../host/failure.ts'
import { forbidden, isAllowed } from '../host/permission.ts'
import { MAX_LOOKUPS } from './descriptors.ts'

/** A server gets this part of the time, so that others can be asked in the rest of it. */
const SHARE_OF_TIME = 1 / 3

export interface ResolverPurpose {
  /** The option or the command that needs it, for messages. */
  readonly purpose: string
  /** For a whole lookup. */
  readonly timeoutMs: number
  /** Gets lines about /etc/resolv.conf. Default: nobody does. */
  readonly log?: Logger
}

/** Opens the resolver of `--reverse-dns`. @throws Failure as {@link makeResolver} does */
export async function openResolver(settings: Settings, log: Logger): Promise<Resolver | undefined> {
  const { reverseDns, reverseDnsTimeoutMs } = settings.options
  if (!reverseDns) return undefined
  return makeResolver(settings, { purpose: settings.spelled('reverseDns'), timeoutMs: reverseDnsTimeoutMs, log })
}

/** @throws Failure if the servers of this machine cannot be read, or if Deno does not allow to ask a server */
export async function makeResolver(
  { options: { resolver } }: Settings,
  { purpose, timeoutMs, log }: ResolverPurpose,
): Promise<Resolver> {
  const { createResolver, httpsUpstream } = await import('@postern/dns')
  const { systemUpstreams, udpUpstream } = await import('@postern/dns/sockets')
  const upstreamOf = (given: ResolverAddress): Upstream =>
    given.kind === 'udp' ? udpUpstream(given) : httpsUpstream(given.url)
  const shareMs = Math.max(1, timeoutMs * SHARE_OF_TIME)
  const inTime = ({ upstreams, attempts, attemptTimeoutMs = Infinity }: Servers): Servers => ({
    upstreams,
    attempts,
    attemptTimeoutMs: Math.min(attemptTimeoutMs, shareMs),
  })
  if (resolver !== undefined) {
    const upstreams = resolver.map(upstreamOf)
    checkPermission(purpose, upstreams)
    return createResolver({ ...inTime({ upstreams }), maxQueries: MAX_LOOKUPS })
  }
  const { refresh, ignored, ...first } = await systemUpstreams().catch((error: unknown) => {
    const reason = `the DNS servers of this machine cannot be read; give --resolver: ${errorText(error)}`
    throw forbidden(error) ?? new Failure(`${purpose}: ${reason}`)
  })
  for (const reason of ignored) log?.debug('a line of /etc/resolv.conf has no effect', { reason })
  checkPermission(purpose, first.upstreams)
  const current = follow(refresh, first, log)
  return createResolver({
    ...inTime(first),
    refresh: async () => inTime(await current()),
    maxQueries: MAX_LOOKUPS,
  })
}

/** Follows the servers of /etc/resolv.conf, as far as Deno allows to ask them, and logs each change once. */
export function follow(
  refresh: () => Promise<Servers>,
  first: Servers,
  log: Logger | undefined,
): () => Promise<Servers> {
  let seen = first
  let allowed = first
  return async () => {
    const servers = await refresh()
    if (servers.upstreams === seen.upstreams) return allowed
    seen = servers
    const urls = servers.upstreams.map(({ url }) => url)
    const missing = missingHosts(servers.upstreams)
    if (missing.length === 0) {
      allowed = servers
      log?.info('/etc/resolv.conf has changed', { servers: urls })
    } else {
      const reason = `Deno does not allow to connect to ${missing.join(', ')}`
      log?.warn('/etc/resolv.conf has changed, and its servers cannot be asked', { servers: urls, reason })
    }
    return allowed
  }
}

/** Without this, Deno would refuse each query, or ask the user at the terminal in the middle of a session. @throws Failure */
function checkPermission(purpose: string, upstreams: readonly Upstream[]): void {
  const missing = missingHosts(upstreams)
  if (missing.length > 0)
    throw new Failure(`${purpose}: Deno needs --allow-net=${missing.join(',')} to ask DNS servers`)
}

/** Returns the hosts that Deno does not allow to connect to. On other runtimes there are none. */
function missingHosts(upstreams: readonly Upstream[]): string[] {
  const hosts = upstreams.flatMap(({ url }) => {
    const parsed = URL.parse(url)
    // An address with a zone is no URL.
    if (parsed === null) return []
    const { protocol, host, port, hostname } = parsed
    if (protocol !== 'udp:') return [port === '' ? `${host}:${protocol === 'https:' ? 443 : 80}` : host]
    // A socket for UDP has an address of its own.
    return [host, hostname.startsWith('[') ? '[::]:0' : '0.0.0.0:0']
  })
  return [...new Set(hosts)].filter((host) => !isAllowed({ name: 'net', host }))
}
