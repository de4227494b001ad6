/** What became of TLS on a connection to a host of a route, as TLS-RPT counts it (RFC 8460 4.3). */
import type { TlsFailureType, TlsRequirement } from '../route/outcome.ts'
import type { TlsFailure } from './counts.ts'

export type TlsProblem = Pick<TlsFailure, 'type' | 'detail'>

/** What is used of a ClientError. */
export interface FailedConnection {
  readonly stage: string
  readonly reason: string
  readonly cause?: unknown
}

/** What is used of a Client. */
export interface OpenConnection {
  readonly tls?: { readonly peerCertificate?: { readonly verified: boolean } } | undefined
}

const NOT_OFFERED: TlsProblem = { type: 'starttls-not-supported', detail: 'the server does not offer STARTTLS' }

/** Codes of OpenSSL and of Node for certificates, and those of `DaneError`. */
const TYPES: Readonly<Record<string, TlsFailureType>> = {
  'certificate-expired': 'certificate-expired',
  'certificate-host-mismatch': 'certificate-host-mismatch',
  CERT_HAS_EXPIRED: 'certificate-expired',
  CERT_NOT_YET_VALID: 'certificate-expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate-host-mismatch',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate-not-trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate-not-trusted',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate-not-trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate-not-trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate-not-trusted',
}
const MAX_CODE = 100

/** Returns why TLS failed on a connection that was not opened; undefined if the error is not about TLS, and is not counted. */
export function problemOfError({ stage, reason, cause }: FailedConnection): TlsProblem | undefined {
  // The caller ended it.
  if (stage !== 'starttls' || reason === 'aborted') return undefined
  // Without a handshake the error has no cause.
  if (cause === undefined) return reason === 'tls' ? NOT_OFFERED : { type: 'validation-failure', detail: reason }
  const code = String((cause as { readonly code?: unknown } | null)?.code ?? '').slice(0, MAX_CODE)
  return { type: TYPES[code] ?? 'validation-failure', detail: code }
}

/**
 * Returns what an open connection lacks of what its host should have, also if that is not enforced (the mode `testing` of MTA-STS).
 * DANE is not looked at: `verifyDane` says what is wrong there.
 */
export function problemOfConnection(
  { tls }: OpenConnection,
  { verify, problem }: TlsRequirement,
): TlsProblem | undefined {
  if (problem !== undefined) return problem
  if (tls === undefined) return NOT_OFFERED
  if (verify !== 'authorities' || tls.peerCertificate?.verified === true) return undefined
  return { type: 'certificate-not-trusted', detail: 'the certificate is not one that is trusted for this name' }
}
