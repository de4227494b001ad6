/**
 * Both sides of a TLS handshake, by `node:tls` over a stream.
 *
 * The server's side is made by a `tls.Server` that listens nowhere, which does the whole of it, client certificates and SNI
 * included. It must be known whose handshake is done, and where the stream underneath is none of Node's own sockets, nothing
 * tells. So each handshake has a server of its own: an heir of the common one, which differs in whom it tells.
 */
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, type Server, type TLSSocket } from 'node:tls'
import type { CheckedTls } from '../credentials.ts'
import { makeHandshaker } from '../handshaker.ts'

/** Makes the TLS of a stream, on whichever side this is. Where it fails, the stream is the caller's to destroy. */
export type Handshake = (stream: Duplex) => Promise<TLSSocket>

const handshakers = new WeakMap<CheckedTls, Server>()

/** Makes the server's side of a handshake with these certificates. Where it fails, the stream is the caller's to destroy. */
export function serverHandshake(stream: Duplex, tls: CheckedTls): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    let handshaker = handshakers.get(tls)
    if (handshaker === undefined) handshakers.set(tls, (handshaker = makeHandshaker(tls)))
    const heir = Object.create(handshaker) as Server
    heir.emit = (event: string, told: unknown): boolean => {
      if (event === 'secureConnection') resolve(told as TLSSocket)
      if (event === 'tlsClientError') reject(told as Error)
      return true
    }
    failAtEnd(stream, reject)
    Reflect.apply(handshaker.emit, heir, ['connection', stream])
  })
}

/** A peer that leaves in the middle is gone; half of a connection is no use here yet. */
function failAtEnd(stream: Duplex, fail: (error: Error) => void): void {
  const closed = (): void => fail(new Error('the connection was closed in the TLS handshake'))
  stream.once('close', closed)
  // What came with the end may have been the last of the handshake: TLS looks at it first.
  stream.once('end', () => setImmediate(closed))
}

/** Makes the client's side of a handshake. Where it fails, the stream is the caller's to destroy. */
export function clientHandshake(stream: Duplex, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...options, socket: stream })
    failAtEnd(stream, reject)
    socket.on('error', reject)
    socket.once('secureConnect', () => resolve(socket))
  })
}
