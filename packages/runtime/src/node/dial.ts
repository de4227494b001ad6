/** Connecting to somebody who listens. */
import type { Duplex } from '@postern/engine'
import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { type ConnectionOptions as NodeTlsOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { checkDurations } from '../duration.ts'
import { unixEndpoint } from '../endpoint.ts'
import { SOCKET_BUFFER_BYTES, SocketDuplex } from './duplex.ts'
import { remoteEndpoint } from './endpoint.ts'

/** As Node's `tls.connect` takes them: servername, rejectUnauthorized, ca, cert, key … */
export type DialTlsOptions = Omit<NodeTlsOptions, 'socket' | 'host' | 'port' | 'path' | 'timeout'>

/** Either `port`, and maybe `host`; or `path`. */
export interface DialOptions {
  /** Default localhost. */
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** A Unix socket. */
  readonly path?: string | undefined
  /** With it, the connection can become TLS: by `startTls`, or from the first byte with `implicitTls`. */
  readonly tls?: DialTlsOptions | undefined
  /** TLS before anything else. Needs `tls`. Default false. */
  readonly implicitTls?: boolean | undefined
  /** For all of it: looking up the name, connecting, and the handshake of implicit TLS. Default 30,000. */
  readonly connectTimeoutMs?: number | undefined
  /** After `end`: closes when nothing has moved for so long. Default 5,000. */
  readonly lingerMs?: number | undefined
  /** Gives up the attempt; once connected it means nothing any more. */
  readonly signal?: AbortSignal | undefined
}

/** Connects. Rejects with Node's error and its `code` (ETIMEDOUT where it took too long), or with the signal's reason. */
export async function dial(options: DialOptions): Promise<Duplex> {
  const { port, path, signal, connectTimeoutMs = 30_000, lingerMs = 5_000 } = options
  if ((port === undefined) === (path === undefined)) throw new TypeError('either port or path')
  if (options.implicitTls === true && options.tls === undefined) throw new TypeError('implicitTls: needs tls')
  checkDurations({ connectTimeoutMs, lingerMs })
  signal?.throwIfAborted()
  const socket = openSocket(options)
  const givenUp = Promise.withResolvers<never>()
  const abort = (): void => givenUp.reject(signal?.reason)
  signal?.addEventListener('abort', abort)
  const timer = setTimeout(() => {
    const error = new Error(`no connection to ${path ?? `port ${port}`} within ${connectTimeoutMs} ms`)
    givenUp.reject(Object.assign(error, { code: 'ETIMEDOUT' }))
  }, connectTimeoutMs)
  try {
    return await Promise.race([establish(socket, options, lingerMs), givenUp.promise])
  } catch (error) {
    socket.destroy()
    // One error for each address of the host: the first says enough, and all of them together say nothing.
    throw error instanceof AggregateError ? error.errors[0] : error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function openSocket({ host = 'localhost', port, path }: DialOptions): Socket {
  const common = { allowHalfOpen: true, noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES }
  const socket = path === undefined ? connect({ ...common, host, port: port ?? 0 }) : connect({ ...common, path })
  // Whoever waits for the socket hears of the error; one that comes when nobody does is no news.
  return socket.on('error', () => {})
}

async function establish(socket: Socket, options: DialOptions, lingerMs: number): Promise<Duplex> {
  const { tls, path, implicitTls = false } = options
  const handshake = tls && ((raw: Socket) => secure(raw, tls, options.host ?? 'localhost'))
  await once(socket, 'connect')
  const remote = path === undefined ? remoteEndpoint(socket) : unixEndpoint(path)
  const local = path === undefined ? undefined : unixEndpoint()
  const ready = implicitTls && handshake !== undefined ? await handshake(socket) : socket
  return new SocketDuplex(ready, { handshake, lingerMs }, remote, local)
}

/** Makes the client's side of a handshake. Where it fails, the socket is destroyed. */
function secure(raw: Socket, options: DialTlsOptions, host: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // An IP address is no name to ask for (RFC 6066 3), but the certificate is checked against it all the same.
    const socket = connectTls({ servername: isIP(host) === 0 ? host : '', ...options, host, socket: raw })
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed in the TLS handshake')))
    socket.once('secureConnect', () => resolve(socket))
  })
}
