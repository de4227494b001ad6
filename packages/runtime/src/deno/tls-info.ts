import type { PeerCertificate, TlsInfo } from '@postern/engine'
import type { TLSSocket } from 'node:tls'

/** What the handshake of this socket agreed on. */
export function tlsInfo(socket: TLSSocket): TlsInfo {
  const { servername } = socket as { servername?: string | false | null }
  const certificate = peerCertificate(socket)
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.standardName ?? '',
    ...(servername ? { serverName: servername } : {}),
    ...(certificate === undefined ? {} : { peerCertificate: certificate }),
  }
}

function peerCertificate(socket: TLSSocket): PeerCertificate | undefined {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  return {
    subject: certificate.subject ?? '',
    issuer: certificate.issuer ?? '',
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    verified: socket.authorized,
  }
}
