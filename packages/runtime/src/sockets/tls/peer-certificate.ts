/** The certificates that a peer showed. */
import type { PeerCertificate } from '@postern/engine'
import type { X509Certificate } from 'node:crypto'

/** What a runtime's TLS socket must have. */
export interface PeerSocket {
  getPeerX509Certificate(): X509Certificate | undefined
}

/** What is used of Node's older form of a certificate. It has no fields if there is none. */
export interface OlderCertificate {
  readonly raw?: Uint8Array
  readonly issuerCertificate?: OlderCertificate
}

/** Chains are shorter. */
const MAX_CERTIFICATES = 10

const shown = new WeakMap<PeerSocket, X509Certificate>()

/**
 * Returns the certificate of the peer; undefined if it showed none.
 *
 * Node (24) takes the certificate out of a connection that it dialled, so a second call of its method returns undefined.
 */
export function shownCertificate(socket: PeerSocket): X509Certificate | undefined {
  const certificate = shown.get(socket) ?? socket.getPeerX509Certificate()
  if (certificate !== undefined) shown.set(socket, certificate)
  return certificate
}

/** Returns the peer's certificate and those of its issuers, as DER: what the peer showed, and authorities that this side added. */
export function shownChain(socket: PeerSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let certificate = shownCertificate(socket)
  for (; certificate !== undefined && chain.length < MAX_CERTIFICATES; certificate = certificate.issuerCertificate) {
    chain.push(certificate.raw)
  }
  return chain
}

/** Does the same for Deno (2.9), where the other form leaves out the root, and for Bun's own sockets, where it has no issuers. */
export function olderChain(first: OlderCertificate): readonly Uint8Array[] {
  const chain: Uint8Array[] = []
  let certificate: OlderCertificate | undefined = first
  while (certificate?.raw !== undefined && chain.length < MAX_CERTIFICATES) {
    chain.push(certificate.raw)
    // The issuer of a root is the root.
    certificate = certificate.issuerCertificate === certificate ? undefined : certificate.issuerCertificate
  }
  return chain
}

/**
 * Makes the engine's form of a certificate.
 * @param verified True if it chains to an authority that this side trusts
 */
export function peerCertificate(certificate: X509Certificate, verified: boolean): PeerCertificate {
  return {
    subject: certificate.subject ?? '',
    issuer: certificate.issuer ?? '',
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    verified,
  }
}
