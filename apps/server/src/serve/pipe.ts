/**
 * Accepts pipes: a front opens a WebSocket by `ws://` or `wss://`, proves that it is a front, and pipes one connection.
 *
 * `node:http` and `ws` work the same on Node, Deno and Bun, whose own WebSocket servers all differ. A connection that has not proved
 * to be from a front costs little: one request of bounded size in bounded time. If there are too many, the oldest one of the address
 * with the most is closed.
 */
import { type Endpoint, FairSet, type Listener, type SessionOverrides } from '@postern/engine'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex as Stream } from 'node:stream'
import type { Acceptor } from '@postern/runtime/node'
import type { TlsCredentials } from '@postern/runtime/tls'
import {
  acceptPipe,
  type FrontGuard,
  type PipeFacts,
  pipeOverrides,
  PipeRefusedError,
  type WebSocketLike,
} from '@postern/runtime/websocket'
import { WebSocketServer } from 'ws'

/** The address to listen on, and how to accept pipes. */
export interface PipeListenOptions {
  readonly guard: FrontGuard
  /** Default: every address. */
  readonly host?: string | undefined
  readonly port: number
  /** Several threads listen on the port. Bun does not support it. Default false. */
  readonly reusePort?: boolean | undefined
  /** The path of the URL, such as '/pipe'. Other paths get 404. */
  readonly pathname: string
  /** `wss`: TLS ends here. */
  readonly tls?: TlsCredentials | undefined
  /** Holds for the sessions of this listener, besides what the front says. */
  readonly overrides?: SessionOverrides | undefined
  /** The time until the WebSocket is open. */
  readonly handshakeTimeoutMs: number
  /**
   * Connections that may be without a WebSocket at the same time. If there are more, the oldest of the address with the
   * most is closed. Default 500.
   */
  readonly maxHandshakes?: number | undefined
  /** After `end`, the connection closes if no data moves for this time. Default 5,000. */
  readonly lingerMs?: number | undefined
  /** Called with errors of the listener itself. */
  error(error: Error): void
  /** Called with each rejected connection, and the reason. */
  refused(reason: string, remote: Endpoint): void
}

const MAX_HEADER_BYTES = 16_384
/** More than any frame of a pipe. */
const MAX_PAYLOAD_BYTES = 65_536
const STATUS_TEXT = { 401: 'Unauthorized', 404: 'Not Found', 500: 'Internal Server Error', 503: 'Service Unavailable' }

/** Listens, and gives the connection of each pipe to `server`. Rejects with Node's error and its `code`. */
export async function listenForPipes(server: Acceptor, options: PipeListenOptions): Promise<Listener> {
  const { host, port, reusePort, tls, error } = options
  const http = makeServer(tls, error)
  const entrance = new Entrance(server, options)
  http.on('connection', (socket: Socket) => entrance.enter(socket))
  http.on('upgrade', (request, stream, head) => void entrance.upgrade(request, stream, head))
  http.on('request', (_, response) => {
    response.writeHead(426, { connection: 'close', upgrade: 'websocket' }).end()
  })
  http.on('clientError', (_: Error, stream: Stream) => void stream.destroy())
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject)
    const where = { port, ...(host === undefined ? {} : { host }), ...(reusePort === undefined ? {} : { reusePort }) }
    http.listen(where, () => {
      http.off('error', reject)
      resolve()
    })
  })
  http.on('error', error)
  const { address, family, port: bound } = http.address() as AddressInfo
  return {
    address: { family: family === 'IPv6' ? 'ipv6' : 'ipv4', address, port: bound },
    async close() {
      entrance.close()
      http.close()
    },
  }
}

function makeServer(tls: TlsCredentials | undefined, report: (error: Error) => void): Server {
  const limits = { maxHeaderSize: MAX_HEADER_BYTES }
  if (tls === undefined) return createServer(limits)
  let current = tls.current
  const http = createTlsServer({ ...limits, ...current.context })
  // Runs before the server begins the handshake of the connection.
  http.prependListener('connection', () => {
    if (current === tls.current) return
    current = tls.current
    // Bun has no such method.
    if (typeof http.setSecureContext === 'function') http.setSecureContext(current.context)
    else report(new Error('this runtime cannot replace the certificate of wss:// while it runs; restart the server'))
  })
  return http
}

/** A connection without a WebSocket yet. */
interface Waiting {
  /** See {@link nameOf}. */
  readonly name: string
  readonly socket: Socket
  readonly timer: NodeJS.Timeout
}

/** Handles a connection until it is a pipe. */
class Entrance {
  readonly #server: Acceptor
  readonly #options: PipeListenOptions
  readonly #webSockets: WebSocketServer = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_PAYLOAD_BYTES,
    perMessageDeflate: false,
  })
  readonly #waiting: FairSet<Waiting>
  /** The same connections by name, because with TLS the request has another socket object. */
  readonly #byName = new Map<string, Waiting>()

  constructor(server: Acceptor, options: PipeListenOptions) {
    this.#server = server
    this.#options = options
    this.#waiting = new FairSet(options.maxHandshakes ?? 500)
  }

  enter(socket: Socket): void {
    const { handshakeTimeoutMs } = this.#options
    // A connection that was already reset has no address.
    if (socket.remoteAddress === undefined) return void socket.destroy()
    const name = nameOf(socket)
    // An earlier connection with the same name, whose `close` event has not come yet.
    this.#leave(this.#byName.get(name))
    const timer = setTimeout(() => socket.destroy(), handshakeTimeoutMs)
    const waiting = { name, socket, timer }
    this.#byName.set(name, waiting)
    const displaced = this.#waiting.add(remoteOf(socket), waiting)
    this.#leave(displaced)
    displaced?.socket.destroy()
    socket.once('close', () => this.#leave(waiting))
  }

  async upgrade(request: IncomingMessage, stream: Stream, head: Buffer): Promise<void> {
    stream.on('error', () => stream.destroy())
    const { guard, tls, refused, error } = this.#options
    const { host = '', authorization = null } = request.headers
    const remote = remoteOf(request.socket)
    const url = URL.parse(`${tls === undefined ? 'http' : 'https'}://${host}${request.url ?? ''}`)
    if (url?.pathname !== this.#options.pathname) return refuse(stream, 404)
    const headers = { get: (name: string) => (name === 'authorization' ? authorization : null) }
    let facts: PipeFacts
    try {
      facts = await guard.admit({ url: url.href, headers })
    } catch (failure) {
      if (failure instanceof PipeRefusedError) {
        refused(failure.message, remote)
        return refuse(stream, failure.status)
      }
      error(failure as Error)
      return refuse(stream, 500)
    }
    if (stream.destroyed) return
    this.#leave(this.#byName.get(nameOf(request.socket)))
    this.#webSockets.handleUpgrade(request, stream, head, (socket) => {
      const overrides: SessionOverrides = { ...this.#options.overrides, ...pipeOverrides(facts) }
      const { lingerMs } = this.#options
      const duplex = acceptPipe(socket as WebSocketLike, facts, lingerMs === undefined ? {} : { lingerMs })
      void this.#server.accept(duplex, overrides)
    })
  }

  close(): void {
    for (const { socket } of this.#waiting) socket.destroy()
  }

  /** Forgets a waiting connection. */
  #leave(waiting: Waiting | undefined): void {
    if (waiting === undefined) return
    clearTimeout(waiting.timer)
    this.#waiting.delete(waiting)
    if (this.#byName.get(waiting.name) === waiting) this.#byName.delete(waiting.name)
  }
}

/** Names a connection by both ends, because a client may use one port for connections to several of our addresses. */
function nameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}

function remoteOf({ remoteAddress = '', remotePort = 0, remoteFamily }: Socket): Endpoint {
  return { family: remoteFamily === 'IPv6' ? 'ipv6' : 'ipv4', address: remoteAddress, port: remotePort }
}

function refuse(stream: Stream, status: keyof typeof STATUS_TEXT): void {
  stream.end(`HTTP/1.1 ${status} ${STATUS_TEXT[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
