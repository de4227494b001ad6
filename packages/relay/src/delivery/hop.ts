/** The servers that a message may go to next, and how to reach them. */
import type { TlsaRecord } from '@postern/dns/names'
import type { ClientCredentials } from '@postern/engine/client'
import type { TlsRequirement } from '../route/outcome.ts'

/** One address of one server. */
export interface Hop {
  /** Its name, for the certificate, for reports and for the log: an MX host, a smarthost, or the path of a Unix socket. */
  readonly host: string
  /** The address to connect to. Default: `host`, which the runtime looks up. */
  readonly address?: string | undefined
  readonly port: number
  /** A Unix socket in place of an address and a port. */
  readonly path?: string | undefined
  readonly protocol: 'smtp' | 'lmtp'
  readonly implicitTls: boolean
  /**
   * - `never`: in clear.
   * - `may`: TLS if the server offers it, with any certificate. If the handshake fails, in clear (RFC 7435).
   * - `must`: TLS with any certificate, or not at all.
   * - `verified`: TLS with a certificate for `host` from an authority, or not at all.
   */
  readonly tls: 'never' | 'may' | 'must' | 'verified'
  readonly credentials?: ClientCredentials | undefined
  /** The name for SNI and for the certificate. Default: `host`. */
  readonly serverName?: string | undefined
  /** The certificate must be one that these records name (RFC 7672). Then `tls` is `must`. */
  readonly dane?: { readonly tlsa: readonly TlsaRecord[]; readonly names: readonly string[] } | undefined
  /** What TLS-RPT counts of a connection: the domain of the recipients, and what it asks of this host. Missing: nothing is counted. */
  readonly counted?: { readonly domain: string; readonly requirement: TlsRequirement } | undefined
}

/** Where the mail for a destination goes. */
export type Route =
  /** The hops in the order in which to try them. At least one. */
  | {
      readonly hops: readonly Hop[]
      /** False: a host is missing that cannot be used now, and may be another time. Default true. */
      readonly isComplete?: boolean | undefined
    }
  /** There is none, now or ever. */
  | { readonly isTemporary: boolean; readonly code: number; readonly enhancedCode: string; readonly text: string }

export interface Router {
  route(destination: string, wish: RouteWish): Promise<Route>
}

/** What a message wants of its route. */
export interface RouteWish {
  /** RFC 8689. */
  readonly requireTls: boolean
  /** A report on TLS: it is delivered whatever is wrong with TLS, and its connection is not counted (RFC 8460 3). */
  readonly isTlsReport?: boolean | undefined
}

/** Two hops with the same key are the same server, reached in the same way. */
export function keyOf({
  host,
  address,
  port,
  path,
  protocol,
  implicitTls,
  tls,
  credentials,
  serverName,
  dane,
}: Hop): string {
  return JSON.stringify([
    host,
    address,
    port,
    path,
    protocol,
    implicitTls,
    tls,
    credentials?.username,
    serverName,
    dane?.tlsa.map(({ usage, selector, matchingType, data }) => [usage, selector, matchingType, ...data]),
  ])
}
