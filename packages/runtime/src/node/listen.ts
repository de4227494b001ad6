/**
 * Listening, on a port of our own or on what the caller made.
 *
 * A connection that is handed to the server is ready for SMTP: where TLS comes first, its handshake is done. Until then it
 * is the listener's, which bounds what it costs: in time, and in number by letting the oldest go, because who is slow or
 * silent on purpose is old.
 */
import type { Endpoint, Listener, SessionOverrides } from '@postern/engine'
import { createServer, type Server, type Socket } from 'node:net'
import { Server as TlsServer, TLSSocket } from 'node:tls'
import { TlsCredentials } from '../credentials.ts'
import { checkDurations } from '../duration.ts'
import type { Acceptor, ConnectionOptions, ListenOptions, ServeOptions } from '../listening.ts'
import { SOCKET_BUFFER_BYTES, SocketDuplex, type SocketSettings } from './duplex.ts'
import { listenerEndpoint, remoteEndpoint, unixEndpoint } from './endpoint.ts'
import { handshake } from './handshake.ts'
import { removeStale } from './unix-socket.ts'

/**
 * Listens, and hands each connection to `server`.
 * Rejects with Node's error and its `code` (EADDRINUSE, EACCES …), or with CertificateError.
 */
export async function listen(server: Acceptor, options: ListenOptions): Promise<Listener> {
  const { port, host, path, backlog } = options
  if ((port === undefined) === (path === undefined)) throw new TypeError('either port or path')
  const policy = new Policy(server, options)
  const listener = createServer({ allowHalfOpen: true, noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES })
  const where = {
    ...(path === undefined ? { port } : { path }),
    ...(host === undefined ? {} : { host }),
    ...(backlog === undefined ? {} : { backlog }),
  }
  try {
    await bind(listener, where)
  } catch (error) {
    if (path === undefined || !(await removeStale(error, path))) throw error
    await bind(listener, where)
  }
  return attach(policy, listener)
}

/** Serves on a listener that the caller made: a `net.Server`, or a `tls.Server`. Closing the one closes the other. */
export function serve(server: Acceptor, listener: Server, options: ServeOptions = {}): Listener {
  return attach(new Policy(server, options), listener)
}

/**
 * Serves a socket that the caller accepted. Resolves with what `server.accept` does: when the session is over.
 * Rejects where the handshake of implicit TLS fails.
 */
export async function adopt(server: Acceptor, socket: Socket, options: ConnectionOptions = {}): Promise<void> {
  const policy = new Policy(server, options)
  const remote = remoteEndpoint(socket)
  const ready = policy.needsHandshake(socket) ? await policy.handshake(socket) : socket
  await policy.accept(ready, remote)
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

function attach(policy: Policy, listener: Server): Listener {
  let address = listenerEndpoint(listener.address())
  const isUnix = (): boolean => {
    // A listener that the caller made may begin to listen later.
    if (address.family === 'unknown') address = listenerEndpoint(listener.address())
    return address.family === 'unix'
  }
  const take = (socket: Socket): void => {
    if (isUnix()) return policy.take(socket, unixEndpoint(), address)
    const remote = remoteEndpoint(socket)
    // Reset before we got to it.
    if (remote.family === 'unknown') socket.destroy()
    else policy.take(socket, remote)
  }
  const event = listener instanceof TlsServer ? 'secureConnection' : 'connection'
  listener.on(event, take)
  listener.on('error', policy.error)
  return {
    get address() {
      isUnix()
      return address
    },
    async close() {
      listener.off(event, take)
      policy.giveUpHandshakes()
      if (listener.listening) listener.close()
    },
  }
}

/** What is done with each connection of a listener. */
class Policy {
  readonly error: (error: Error, remote?: Endpoint) => void
  readonly #server: Acceptor
  readonly #implicitTls: boolean
  readonly #overrides: SessionOverrides | undefined
  readonly #settings: SocketSettings
  readonly #handshakeTimeoutMs: number
  readonly #maxHandshakes: number
  /** Sockets whose handshake goes on, oldest first. */
  readonly #handshakes = new Set<Socket>()

  constructor(server: Acceptor, options: ServeOptions) {
    const { tls, implicitTls = false, lingerMs = 5_000, handshakeTimeoutMs = 30_000, maxHandshakes = 500 } = options
    if (implicitTls && tls === undefined) throw new TypeError('implicitTls: needs tls')
    if (!(maxHandshakes >= 1)) throw new RangeError(`maxHandshakes: ${maxHandshakes} is not 1 or more`)
    checkDurations({ lingerMs, handshakeTimeoutMs })
    const credentials = tls === undefined || tls instanceof TlsCredentials ? tls : new TlsCredentials(tls)
    this.#implicitTls = implicitTls
    this.error = options.error ?? (() => {})
    this.#server = server
    this.#overrides = options.overrides
    this.#settings = { handshake: credentials && ((socket) => handshake(socket, credentials.current)), lingerMs }
    this.#handshakeTimeoutMs = handshakeTimeoutMs
    this.#maxHandshakes = maxHandshakes
  }

  needsHandshake(socket: Socket): boolean {
    return this.#implicitTls && !(socket instanceof TLSSocket)
  }

  take(socket: Socket, remote: Endpoint, local?: Endpoint): void {
    if (!this.needsHandshake(socket)) {
      void this.accept(socket, remote, local)
      return
    }
    this.handshake(socket).then(
      (secure) => this.accept(secure, remote, local),
      (error: Error) => this.error(error, remote),
    )
  }

  accept(socket: Socket, remote: Endpoint, local?: Endpoint): unknown {
    return this.#server.accept(new SocketDuplex(socket, this.#settings, remote, local), this.#overrides)
  }

  async handshake(socket: Socket): Promise<TLSSocket> {
    const handshakes = this.#handshakes
    const [oldest] = handshakes
    if (oldest !== undefined && handshakes.size >= this.#maxHandshakes) {
      oldest.destroy(new Error('too many TLS handshakes at the same time'))
    }
    handshakes.add(socket)
    const timer = setTimeout(() => {
      socket.destroy(new Error(`the TLS handshake took longer than ${this.#handshakeTimeoutMs} ms`))
    }, this.#handshakeTimeoutMs)
    try {
      return await (this.#settings.handshake as NonNullable<SocketSettings['handshake']>)(socket)
    } finally {
      clearTimeout(timer)
      handshakes.delete(socket)
    }
  }

  giveUpHandshakes(): void {
    for (const socket of this.#handshakes) socket.destroy(new Error('the listener was closed'))
  }
}
