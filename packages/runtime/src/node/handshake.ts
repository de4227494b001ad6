/**
 * Makes the server's side of a TLS handshake with a `tls.Server` that does not listen.
 * Code may give such a server a connection by its 'connection' event. The server then makes the whole handshake, with
 * client certificates and SNI. New certificates get a new server.
 */
import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'
import type { Wait } from '../common/wait.ts'
import type { CheckedTls } from '../sockets/tls/credentials.ts'
import { makeTlsServer } from '../sockets/tls/server.ts'

const handshakers = new WeakMap<CheckedTls, Server>()
const waiting = new WeakMap<Socket, Wait<TLSSocket>>()

/** Makes a handshake with these certificates. If it fails, the socket is destroyed. */
export function handshake(socket: Socket, tls: CheckedTls): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed) return reject(new Error('the connection was closed'))
    // A handshake needs both directions.
    socket.allowHalfOpen = false
    waiting.set(socket, { resolve, reject })
    let handshaker = handshakers.get(tls)
    if (handshaker === undefined) handshakers.set(tls, (handshaker = openHandshaker(tls)))
    handshaker.emit('connection', socket)
  })
}

/**
 * Refuses several pairs for a host of `sni`. Node takes only one of them from the context that SNI chose.
 * @throws TypeError
 */
export function checkHosts({ options: { sni = {} } }: CheckedTls): void {
  if (Object.values(sni).every(({ others = [] }) => others.length === 0)) return
  throw new TypeError('tls.sni: Node uses one certificate for a host of sni')
}

function openHandshaker(tls: CheckedTls): Server {
  checkHosts(tls)
  const server = makeTlsServer(tls)
  server.on('secureConnection', (socket: TLSSocket) => waiterOf(socket)?.resolve(socket))
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    waiterOf(socket)?.reject(error)
    socket.destroy()
  })
  return server
}

function waiterOf(socket: TLSSocket): Wait<TLSSocket> | undefined {
  // Node has no public name for the socket underneath. This private one is as old as TLSSocket.
  const { _parent: raw } = socket as TLSSocket & { readonly _parent: Socket }
  const waiter = waiting.get(raw)
  waiting.delete(raw)
  return waiter
}
