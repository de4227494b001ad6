import type { TlsInfo } from '@postern/engine'
import type { TLSSocket } from 'node:tls'
import { peerCertificate } from './peer-certificate.ts'

/** Returns what the two ends of this `node:tls` socket agreed on in the handshake. */
export function tlsInfo(socket: TLSSocket): TlsInfo {
  const { servername } = socket as { servername?: string | false | null }
  const certificate = socket.getPeerX509Certificate()
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.standardName ?? '',
    ...(servername ? { serverName: servername } : {}),
    ...(certificate === undefined ? {} : { peerCertificate: peerCertificate(certificate, socket.authorized) }),
  }
}
