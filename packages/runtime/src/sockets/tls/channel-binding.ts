/** Channel binding (RFC 5056): data that only the two ends of one TLS connection know. SCRAM-SHA-256-PLUS uses it. */
import { createHash, type X509Certificate } from 'node:crypto'
import { type PeerSocket, shownCertificate } from './peer-certificate.ts'

/** What a runtime's TLS socket must have. Deno has no `exportKeyingMaterial`. */
export interface BindingSocket extends PeerSocket {
  exportKeyingMaterial?(length: number, label: string, context: Buffer): Buffer
  /** Returns the socket's own certificate. */
  getX509Certificate(): X509Certificate | undefined
}

/** RFC 9266 4. */
const LABEL = 'EXPORTER-Channel-Binding'
const EXPORTED_OCTETS = 32

/**
 * Returns whether a connection has channel binding. Clients choose 'tls-exporter' first, so a connection that lacks it has none: older
 * versions of TLS, because not all of their connections are safe for it (RFC 9266 3), and Deno.
 */
export function canBind(socket: BindingSocket, version: string | undefined): boolean {
  return version === 'TLSv1.3' && socket.exportKeyingMaterial !== undefined
}

/** Returns the data of a type; undefined if the connection does not have it. */
export function channelBinding(socket: BindingSocket, type: string): Uint8Array | undefined {
  try {
    if (type === 'tls-server-end-point') return endPoint(serverCertificate(socket))
    return type === 'tls-exporter' ? socket.exportKeyingMaterial?.(EXPORTED_OCTETS, LABEL, Buffer.alloc(0)) : undefined
  } catch {
    // The socket is closed.
    return undefined
  }
}

/** Returns the server's certificate. A socket does not tell its side, so this returns undefined if both sides showed one. */
function serverCertificate(socket: BindingSocket): X509Certificate | undefined {
  const [own, peers] = [socket.getX509Certificate(), shownCertificate(socket)]
  return own === undefined || peers === undefined ? (own ?? peers) : undefined
}

/** Hashes the server's certificate with the hash of its signature, or SHA-256 for older ones (RFC 5929 4.1). */
function endPoint(certificate: X509Certificate | undefined): Uint8Array | undefined {
  // Node 22 does not tell the algorithm. Ed25519 has no hash.
  const { signatureAlgorithm = '' } = (certificate ?? {}) as { readonly signatureAlgorithm?: string }
  const [, bits] = /(?:sha-?|md)(\d+)/i.exec(signatureAlgorithm) ?? []
  if (certificate === undefined || bits === undefined) return undefined
  return createHash(bits === '384' || bits === '512' ? `sha${bits}` : 'sha256')
    .update(certificate.raw)
    .digest()
}
