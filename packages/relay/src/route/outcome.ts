/** Where mail for a domain goes, or why it can go nowhere. */
import type { TlsaRecord } from '@postern/dns/names'

export type Route = FoundRoute | FailedRoute

export interface FoundRoute {
  readonly status: 'found'
  /** In the order in which they are tried. At least one. */
  readonly hosts: readonly RouteHost[]
  /** False: a host is missing, because it cannot be looked up now, or because there are more than `maxHosts`. */
  readonly isComplete: boolean
  /** What TLS-RPT tells of the policies of the domain, besides what becomes of each connection. */
  readonly policyFailures: readonly PolicyFailure[]
}

/** No attempt is made. */
export interface FailedRoute {
  readonly status: 'failed'
  /** Another time there may be a route. */
  readonly isTemporary: boolean
  /** A reply code, as a server would have given. */
  readonly code: number
  /** RFC 3463. */
  readonly enhancedCode: string
  /** One line for the log and for the sender's report. */
  readonly text: string
  readonly policyFailures: readonly PolicyFailure[]
}

/** A server to try, with its addresses. */
export interface RouteHost {
  /** A domain in lower case, or an address literal with its brackets. '' for a Unix socket. */
  readonly name: string
  readonly protocol: 'smtp' | 'lmtp'
  /** IP addresses in the order in which they are tried. Empty for a Unix socket. */
  readonly addresses: readonly string[]
  readonly port: number
  /** A Unix socket. */
  readonly path?: string | undefined
  /** The server begins with TLS. */
  readonly implicitTls: boolean
  readonly tls: TlsRequirement
  /** The smarthost that was set, with its credentials. Absent for a host of the domain. */
  readonly smarthost?: Smarthost | undefined
}

/** A server that takes mail for others. `parseServerUrl` of `@postern/engine/client` makes one. */
export interface Smarthost {
  readonly protocol: 'smtp' | 'lmtp'
  /** A domain or an IP address. */
  readonly host: string
  readonly port: number
  readonly path?: string | undefined
  readonly implicitTls: boolean
  readonly startTls: 'never' | 'if-offered' | 'required'
  /** Default: if `implicitTls`, or if `startTls` is `required`. */
  readonly verify?: boolean | undefined
}

/** What a connection to a host must have before a message is sent. */
export interface TlsRequirement {
  readonly startTls: 'never' | 'if-offered' | 'required'
  /**
   * How the certificate is checked. `authorities`: it chains to an authority that this side trusts, and is for one of `names`.
   * `dane`: {@link verifyDane} says so.
   */
  readonly verify: 'nothing' | 'authorities' | 'dane'
  /** False: a failure is only reported, and the message is sent all the same (the mode `testing` of MTA-STS). */
  readonly isEnforced: boolean
  /** The name for SNI (RFC 6066 3). '' for none. */
  readonly serverName: string
  readonly names: readonly string[]
  /** For `dane`. */
  readonly tlsa: readonly TlsaRecord[]
  readonly policy: PolicyFacts
  /** What TLS-RPT counts of a connection to this host, whatever its TLS is: the policy does not list it, or cannot be used. */
  readonly problem?: { readonly type: TlsFailureType; readonly detail: string } | undefined
}

/** A policy as TLS-RPT tells it (RFC 8460 4.4). */
export interface PolicyFacts {
  readonly type: 'tlsa' | 'sts' | 'no-policy-found'
  readonly domain: string
  /** The lines of an MTA-STS policy, or the texts of TLSA records. */
  readonly strings: readonly string[]
  readonly mxHosts: readonly string[]
}

/** RFC 8460 4.3. */
export type TlsFailureType =
  | 'starttls-not-supported'
  | 'certificate-host-mismatch'
  | 'certificate-expired'
  | 'certificate-not-trusted'
  | 'validation-failure'
  | 'tlsa-invalid'
  | 'dnssec-invalid'
  | 'dane-required'
  | 'sts-policy-fetch-error'
  | 'sts-policy-invalid'
  | 'sts-webpki-invalid'

/** A policy that could not be used, or a host that it forbids. */
export interface PolicyFailure {
  readonly type: TlsFailureType
  readonly policy: PolicyFacts
  /** The host that it is about; '' for none. */
  readonly host: string
  /** One line. */
  readonly detail: string
}

export function temporary(
  enhancedCode: string,
  text: string,
  policyFailures: readonly PolicyFailure[] = [],
): FailedRoute {
  return { status: 'failed', isTemporary: true, code: 451, enhancedCode, text, policyFailures }
}

export function permanent(
  code: number,
  enhancedCode: string,
  text: string,
  policyFailures: readonly PolicyFailure[] = [],
): FailedRoute {
  return { status: 'failed', isTemporary: false, code, enhancedCode, text, policyFailures }
}

export function noPolicy(domain: string): PolicyFacts {
  return { type: 'no-policy-found', domain, strings: [], mxHosts: [] }
}
