import type { TlsInfo } from '@postern/engine'
import type { TLSSocket } from 'node:tls'
import { peerCertificate, shownCertificate } from './peer-certificate.ts'

/** Returns what the two ends of this `node:tls` socket agreed on in the handshake. */
export function tlsInfo(socket: TLSSocket): TlsInfo {
  const { servername } = socket as { servername?: string | false | null }
  const certificate = shownCertificate(socket)
  return {
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.standardName ?? '',
    ...(servername ? { serverName: servername } : {}),
    ...(certificate === undefined ? {} : { peerCertificate: peerCertificate(certificate, socket.authorized) }),
  }
}
