/** Sends all mail to one server, which is named by a URL. */
import { type ClientTimeouts, parseServerUrl, type ServerAddress } from '@postern/engine/client'
import type { Hop, Route, Router } from '../delivery/hop.ts'

/** @throws TypeError if it is not the URL of a server */
export function smarthostRouter(url: string): Router {
  const hop = hopOf(url)
  return {
    // RFC 8689 4.2.1: the certificate is checked.
    route: (_destination, { requireTls }): Promise<Route> =>
      Promise.resolve({ hops: [requireTls && hop.protocol === 'smtp' ? { ...hop, tls: 'verified' } : hop] }),
  }
}

/** Returns whether a destination is the URL of a server that a rule names. A domain has no colon. */
export function isLmtpDestination(destination: string): boolean {
  return /^lmtp(?:\+unix)?:/.test(destination)
}

/** @throws TypeError */
export function hopOf(url: string): Hop {
  const { host, port, path, protocol, implicitTls, startTls, credentials } = parseServerUrl(url)
  const isVerified = implicitTls || startTls === 'required' || credentials !== undefined
  return {
    host: host === '' ? (path ?? '') : host,
    port,
    path,
    protocol,
    implicitTls,
    tls: isVerified ? 'verified' : startTls === 'never' ? 'never' : 'may',
    credentials,
  }
}

/** Returns how to connect to a hop. @param isInClear Its TLS handshake has failed, and TLS is only a wish */
export function addressOf(
  { host, address, port, path, protocol, implicitTls, tls, credentials }: Hop,
  isInClear: boolean,
): ServerAddress {
  const startTls = implicitTls || isInClear || tls === 'never' ? 'never' : tls === 'may' ? 'if-offered' : 'required'
  return { protocol, host: address ?? host, port, path, implicitTls, startTls, ...(credentials && { credentials }) }
}

/** Returns timeouts of a client that all have this time. */
export function timeoutsOf(ms: number): ClientTimeouts {
  return {
    greetingMs: ms,
    helloMs: ms,
    startTlsMs: ms,
    authMs: ms,
    mailMs: ms,
    rcptMs: ms,
    dataMs: ms,
    blockMs: ms,
    finalMs: ms,
    commandMs: ms,
    quitMs: ms,
  }
}
