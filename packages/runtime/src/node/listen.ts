/**
 * Listening, on a port of our own or on what the caller made.
 *
 * A connection that is handed to the server is ready for SMTP: where TLS comes first, its handshake is done.
 */
import type { Endpoint, Listener, Place } from '@postern/engine'
import { createServer, type Server, type Socket } from 'node:net'
import { Server as TlsServer, TLSSocket } from 'node:tls'
import { unixEndpoint } from '../common/endpoint.ts'
import type { Acceptor, ConnectionOptions, ListenOptions, ServeOptions } from '../sockets/inbound.ts'
import { paced } from '../sockets/paced.ts'
import { checkPlace, Terms } from '../sockets/terms.ts'
import { removeStale } from '../sockets/unix-socket.ts'
import { SOCKET_BUFFER_BYTES, NodeDuplex, type NodeDuplexDeps } from './duplex.ts'
import { listenerEndpoint, remoteEndpoint } from './endpoint.ts'
import { handshake } from './handshake.ts'

/**
 * Listens, and hands each connection to `server`.
 * Rejects with Node's error and its `code` (EADDRINUSE, EACCES …), or with CertificateError.
 */
export async function listen(server: Acceptor, options: ListenOptions): Promise<Listener> {
  const { port, host, path, backlog, reusePort } = options
  checkPlace(options)
  const reception = new Reception(server, options)
  const listener = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES })
  const where = {
    ...(path === undefined ? { port } : { path }),
    ...(host === undefined ? {} : { host }),
    ...(backlog === undefined ? {} : { backlog }),
    ...(reusePort === undefined ? {} : { reusePort }),
  }
  try {
    await bind(listener, where)
  } catch (error) {
    if (path === undefined || !(await removeStale(error, path))) throw error
    await bind(listener, where)
  }
  return attach(reception, listener)
}

/** Serves on a listener that the caller made: a `net.Server`, or a `tls.Server`. Closing the one closes the other. */
export function serve(server: Acceptor, listener: Server, options: ServeOptions = {}): Listener {
  return attach(new Reception(server, options), listener)
}

/**
 * Serves a socket that the caller accepted. Resolves with what `server.accept` does: when the session is over.
 * Rejects where the handshake of implicit TLS fails.
 */
export async function adopt(server: Acceptor, socket: Socket, options: ConnectionOptions = {}): Promise<void> {
  const reception = new Reception(server, options)
  const remote = remoteEndpoint(socket)
  if (!reception.needsHandshake(socket)) return void (await reception.accept(socket, remote))
  const { secured, place } = await reception.secure(socket, remote)
  await reception.accept(secured, remote, undefined, place)
}

function bind(listener: Server, where: object): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(where, () => {
      listener.off('error', reject)
      resolve()
    })
  })
}

function attach(reception: Reception, listener: Server): Listener {
  let address = listenerEndpoint(listener.address())
  const isUnix = (): boolean => {
    // A listener that the caller made may begin to listen later.
    if (address.family === 'unknown') address = listenerEndpoint(listener.address())
    return address.family === 'unix'
  }
  const take = (socket: Socket): void => {
    if (isUnix()) return reception.take(socket, unixEndpoint(), address)
    const remote = remoteEndpoint(socket)
    // Reset before we got to it.
    if (remote.family === 'unknown') socket.destroy()
    else reception.take(socket, remote)
  }
  const event = listener instanceof TlsServer ? 'secureConnection' : 'connection'
  listener.on(event, take)
  listener.on('error', paced(reception.terms.error))
  return {
    get address() {
      isUnix()
      return address
    },
    async close() {
      listener.off(event, take)
      reception.terms.handshakes.giveUp()
      if (listener.listening) listener.close()
    },
  }
}

/** What is done with each connection of a listener. */
class Reception {
  readonly terms: Terms
  readonly #server: Acceptor
  readonly #settings: NodeDuplexDeps

  constructor(server: Acceptor, options: ServeOptions) {
    const terms = new Terms(options)
    const { credentials, lingerMs } = terms
    this.terms = terms
    this.#server = server
    this.#settings = { handshake: credentials && ((socket) => handshake(socket, credentials.current)), lingerMs }
  }

  needsHandshake(socket: Socket): boolean {
    return this.terms.implicitTls && !(socket instanceof TLSSocket)
  }

  take(socket: Socket, remote: Endpoint, local?: Endpoint): void {
    if (!this.needsHandshake(socket)) {
      void this.accept(socket, remote, local)
      return
    }
    this.secure(socket, remote).then(
      ({ secured, place }) => this.accept(secured, remote, local, place),
      (error: Error) => this.terms.error(error, remote),
    )
  }

  accept(socket: Socket, remote: Endpoint, local?: Endpoint, place?: Place): unknown {
    return this.#server.accept(new NodeDuplex(socket, this.#settings, remote, local), this.terms.overrides, place)
  }

  secure(socket: Socket, remote: Endpoint): Promise<{ secured: TLSSocket; place: Place | undefined }> {
    const { handshake } = this.#settings
    if (handshake === undefined) throw new TypeError('implicitTls: needs tls')
    return this.terms.secure(
      this.#server,
      remote,
      () => handshake(socket),
      (error) => socket.destroy(error),
    )
  }
}
