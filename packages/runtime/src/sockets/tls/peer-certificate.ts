import type { PeerCertificate } from '@postern/engine'
import type { X509Certificate } from 'node:crypto'

/** Makes what the engine knows of a certificate. @param verified Whether it chains to an authority that this side trusts */
export function peerCertificate(certificate: X509Certificate, verified: boolean): PeerCertificate {
  return {
    subject: certificate.subject ?? '',
    issuer: certificate.issuer ?? '',
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    verified,
  }
}
