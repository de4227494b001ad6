/**
 * Both sides of a TLS handshake, by `node:tls` over a stream.
 *
 * The server's side is made by a `tls.Server` that listens nowhere, which does the whole of it, client certificates and SNI
 * included. It must be known whose handshake is done, and where the stream underneath is none of Node's own sockets, nothing
 * tells. So each handshake has a server of its own: an heir of the common one, which differs in whom it tells.
 */
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls'
import { type CheckedTls, contextFor } from '../credentials.ts'

/** Of `SNICallback`. */
type ContextCallback = (error: Error | null, context?: SecureContext) => void

/** Makes the TLS of a stream. Where it fails, the stream is destroyed. */
export type Handshake = (stream: Duplex) => Promise<TLSSocket>

const handshakers = new WeakMap<CheckedTls, Server>()

/** Makes the server's side of a handshake with these certificates. Where it fails, the stream is destroyed. */
export function serverHandshake(stream: Duplex, tls: CheckedTls): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    let handshaker = handshakers.get(tls)
    if (handshaker === undefined) handshakers.set(tls, (handshaker = makeHandshaker(tls)))
    const heir = Object.create(handshaker) as Server
    heir.emit = (event: string, ...[first, second]: unknown[]): boolean => {
      if (event === 'secureConnection') resolve(first as TLSSocket)
      if (event !== 'tlsClientError') return true
      reject(first as Error)
      ;(second as Duplex).destroy()
      stream.destroy()
      return true
    }
    stream.once('close', () => reject(new Error('the connection was closed in the TLS handshake')))
    handshaker.emit.call(heir, 'connection', stream)
  })
}

function makeHandshaker({ options, context, hosts }: CheckedTls): Server {
  const { clientCertificates = 'none', alpn } = options
  return createServer({
    ...context,
    requestCert: clientCertificates !== 'none',
    rejectUnauthorized: clientCertificates === 'require',
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    ...(hosts.size === 0
      ? {}
      : { SNICallback: (name: string, done: ContextCallback) => done(null, contextFor(hosts, name)) }),
  })
}

/** Makes the client's side of a handshake. Where it fails, the stream is destroyed. */
export function clientHandshake(stream: Duplex, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...options, socket: stream })
    socket.on('error', reject)
    socket.once('close', () => {
      stream.destroy()
      reject(new Error('the connection was closed in the TLS handshake'))
    })
    socket.once('secureConnect', () => resolve(socket))
  })
}
