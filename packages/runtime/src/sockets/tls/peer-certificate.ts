import type { PeerCertificate } from '@postern/engine'
import type { X509Certificate } from 'node:crypto'

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
