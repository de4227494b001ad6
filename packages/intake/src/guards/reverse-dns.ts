/** Looks up the name of each client (RFC 8601 3), and keeps it in the session. It never refuses. */
import type { ConfirmedName, Resolver } from '@postern/dns/names'
import type { ReverseDns, Session } from '@postern/engine'
import type { Guard } from '../guard.ts'

export interface ReverseDnsOptions {
  readonly resolver: Resolver
  /** How long the client may wait for its greeting because of this. Default 5,000. */
  readonly timeoutMs?: number
  /** Called if nobody knew the name in time. @param why One line of the resolver, or what it threw */
  failed?(why: unknown, session: Session): void
}

/** The name of a client that has none, or whose name is not known. */
const UNKNOWN = 'unknown'
const TIMEOUT_MS = 5_000

/**
 * Makes the guard. Ask it before all others and before the observer, so that they see the name. A client over a Unix socket
 * is not looked up, and neither is one whose name the session has.
 */
export function reverseDnsGuard(options: ReverseDnsOptions): Guard {
  const lookUp = (session: Session): Promise<void> | undefined => {
    const { family } = session.remote
    const isKnown = session.reverseDns !== undefined
    return isKnown || (family !== 'ipv4' && family !== 'ipv6') ? undefined : setName(session, options)
  }
  // For implicit TLS the `secure` hook is the first.
  return { name: 'reverse-dns', connect: lookUp, secure: (_, session) => lookUp(session) }
}

async function setName(
  session: Session,
  { resolver, timeoutMs = TIMEOUT_MS, failed }: ReverseDnsOptions,
): Promise<void> {
  const { remote } = session
  const late = Promise.withResolvers<ConfirmedName>()
  const controller = new AbortController()
  const giveUp = (detail: string): void => {
    // A resolver that does not heed the signal must not delay the greeting either.
    late.resolve({ result: 'temperror', detail })
    controller.abort()
  }
  const leave = (): void => giveUp('the client has gone')
  const timer = setTimeout(() => giveUp('no answer in time'), timeoutMs)
  session.signal.addEventListener('abort', leave)
  try {
    // Loaded only if somebody uses this guard.
    const { confirmedName } = await import('@postern/dns/names')
    const asked = confirmedName(remote.address, resolver, { client: remote, signal: controller.signal })
    const found = await Promise.race([asked, late.promise])
    session.reverseDns = reverseDnsOf(found)
    if (found.result === 'temperror') failed?.(found.detail, session)
  } catch (error) {
    session.reverseDns = { result: 'temperror', name: UNKNOWN }
    failed?.(error, session)
  } finally {
    clearTimeout(timer)
    session.signal.removeEventListener('abort', leave)
  }
}

function reverseDnsOf(found: ConfirmedName): ReverseDns {
  return { result: found.result, name: found.result === 'pass' ? found.name : UNKNOWN }
}
