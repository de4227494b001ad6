/**
 * Listening on a port or a Unix socket.
 *
 * A connection that is handed to the server is ready for SMTP: where TLS comes first, its handshake is done.
 */
import type { Endpoint, Listener } from '@postern/engine'
import { lookup } from 'node:dns/promises'
import { ipEndpoint, unixEndpoint } from '../common/endpoint.ts'
import type { Acceptor, ListenOptions } from '../sockets/inbound.ts'
import { checkPlace, Terms } from '../sockets/terms.ts'
import { removeStale } from '../sockets/unix-socket.ts'
import { bun, type BunListener, type BunSocket } from './api.ts'
import { type Attached, HANDLERS, BunDuplex, type BunDuplexDeps } from './duplex.ts'
import { systemError } from './system-error.ts'
import { serverSide } from './tls-side.ts'

/**
 * Listens, and hands each connection to `server`.
 * Rejects with Bun's error and its `code` (EADDRINUSE, EACCES …), or with CertificateError.
 */
export async function listen(server: Acceptor, options: ListenOptions): Promise<Listener> {
  checkPlace(options)
  if (options.backlog !== undefined) throw new TypeError('backlog: Bun has its own')
  const reception = new Reception(server, options)
  const { path, host = '*', port } = options
  try {
    return await (path === undefined ? listenOnPort(reception, options) : listenOnPath(reception, path))
  } catch (error) {
    throw systemError(error, path ?? `${host}:${port}`)
  }
}

async function listenOnPort(reception: Reception, { host, port = 0, reusePort }: ListenOptions): Promise<Listener> {
  const open = (hostname: string): BunListener =>
    bun().listen({
      hostname,
      port,
      allowHalfOpen: true,
      ...(reusePort === undefined ? {} : { reusePort }),
      data: undefined,
      socket: { ...HANDLERS, open: (socket) => reception.take(socket, remoteEndpoint(socket), localEndpoint(socket)) },
    })
  const listener = host === undefined ? openEverywhere(open) : open((await lookup(host)).address)
  return attach(reception, listener, ipEndpoint(listener.hostname, listener.port))
}

/** IPv6 with IPv4 inside; IPv4 alone where the system has no IPv6. */
function openEverywhere(open: (hostname: string) => BunListener): BunListener {
  try {
    return open('::')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Bun gives no code where the kernel makes no socket of IPv6 at all.
    if (code !== undefined && code !== 'EADDRNOTAVAIL' && code !== 'EAFNOSUPPORT') throw error
    return open('0.0.0.0')
  }
}

async function listenOnPath(reception: Reception, path: string): Promise<Listener> {
  const address = unixEndpoint(path)
  const open = (): BunListener =>
    bun().listen({
      unix: path,
      allowHalfOpen: true,
      data: undefined,
      socket: { ...HANDLERS, open: (socket) => reception.take(socket, unixEndpoint(), address) },
    })
  try {
    return attach(reception, open(), address)
  } catch (error) {
    if (!(await removeStale(error, path))) throw error
    return attach(reception, open(), address)
  }
}

function attach(reception: Reception, listener: BunListener, address: Endpoint): Listener {
  return {
    address,
    async close() {
      reception.close()
      listener.stop()
    },
  }
}

/** What is done with each connection of a listener. */
class Reception {
  readonly #terms: Terms
  readonly #server: Acceptor
  readonly #settings: BunDuplexDeps
  #isClosed = false

  constructor(server: Acceptor, options: ListenOptions) {
    const terms = new Terms(options)
    const { credentials, lingerMs } = terms
    this.#terms = terms
    this.#server = server
    this.#settings = { tls: credentials && (() => serverSide(credentials.current)), lingerMs }
  }

  take(socket: BunSocket<Attached>, remote: Endpoint, local: Endpoint): void {
    // Reset before we got to it, or in the backlog when the listener was closed.
    if (remote.family === 'unknown' || this.#isClosed) return socket.close()
    const duplex = new BunDuplex(socket, this.#settings, remote, local)
    const { implicitTls, overrides, error } = this.#terms
    const { startTls } = duplex
    if (!implicitTls || startTls === undefined) {
      void this.#server.accept(duplex, overrides)
      return
    }
    this.#terms
      .secure(
        this.#server,
        remote,
        () => startTls.call(duplex),
        (reason) => duplex.destroy(reason),
      )
      .then(
        ({ place }) => this.#server.accept(duplex, overrides, place),
        (reason: Error) => error(reason, remote),
      )
  }

  close(): void {
    this.#isClosed = true
    this.#terms.handshakes.giveUp()
  }
}

function remoteEndpoint({ remoteAddress, remotePort }: BunSocket<unknown>): Endpoint {
  return ipEndpoint(remoteAddress, remotePort)
}

function localEndpoint({ localAddress, localPort }: BunSocket<unknown>): Endpoint {
  return ipEndpoint(localAddress, localPort)
}
