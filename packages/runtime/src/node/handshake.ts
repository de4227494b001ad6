/**
 * The server's side of a TLS handshake.
 *
 * It is made by a `tls.Server` that listens nowhere: Node lets one inject connections (its 'connection' event), and then
 * does the whole of it, client certificates and SNI included. New certificates are a new such server.
 */
import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import type { Wait } from '../common/wait.ts'
import type { CheckedTls } from '../sockets/tls/credentials.ts'
import { makeHandshaker } from '../sockets/tls/server.ts'

const handshakers = new WeakMap<CheckedTls, Server>()
const waiting = new WeakMap<Socket, Wait<TLSSocket>>()

/** Makes a handshake with these certificates. Where it fails, the socket is destroyed. */
export function handshake(socket: Socket, tls: CheckedTls): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed) return reject(new Error('the connection was closed'))
    // A peer that leaves in the middle is gone; half of a connection is no use here yet.
    socket.allowHalfOpen = false
    waiting.set(socket, { resolve, reject })
    let handshaker = handshakers.get(tls)
    if (handshaker === undefined) handshakers.set(tls, (handshaker = openHandshaker(tls)))
    handshaker.emit('connection', socket)
  })
}

function openHandshaker(tls: CheckedTls): Server {
  const server = makeHandshaker(tls)
  server.on('secureConnection', (socket: TLSSocket) => waiterOf(socket)?.resolve(socket))
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    waiterOf(socket)?.reject(error)
    socket.destroy()
  })
  return server
}

function waiterOf(socket: TLSSocket): Wait<TLSSocket> | undefined {
  // Node has no public name for the socket underneath; this one is as old as TLSSocket.
  const { _parent: raw } = socket as TLSSocket & { readonly _parent: Socket }
  const waiter = waiting.get(raw)
  waiting.delete(raw)
  return waiter
}
