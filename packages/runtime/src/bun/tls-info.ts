import type { TlsInfo } from '@postern/engine'
import { peerCertificate, shownCertificate } from '../sockets/tls/peer-certificate.ts'
import type { BunSocket } from './api.ts'
import type { TlsSide } from './tls-side.ts'

/** Returns what the two ends of this socket agreed on in the handshake. */
export function tlsInfo(socket: BunSocket<unknown>, { isVerified }: TlsSide): TlsInfo {
  const serverName = socket.getServername()
  const certificate = shownCertificate(socket)
  return {
    protocol: socket.getTLSVersion() ?? '',
    cipher: socket.getCipher()?.standardName ?? '',
    ...(serverName ? { serverName } : {}),
    ...(certificate === undefined ? {} : { peerCertificate: peerCertificate(certificate, isVerified(socket)) }),
  }
}
