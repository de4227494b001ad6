/** Connects with `node:net` and `node:tls`. */
import type { Duplex } from '@postern/engine'
import { once } from 'node:events'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import {
  checkDial,
  type DialOptions as SocketDialOptions,
  type DialTlsOptions,
  withinOptions,
} from '../sockets/outbound.ts'
import { unixEndpoint } from '../common/endpoint.ts'
import { NodeDuplex, SOCKET_BUFFER_BYTES } from './duplex.ts'
import { remoteEndpoint } from './endpoint.ts'

/** Options of `dial` on Node. */
export interface DialOptions extends SocketDialOptions {
  /** The address to connect from. Default: the system's choice. */
  readonly localAddress?: string | undefined
}

/** Connects. Rejects with Node's error and its `code` (ETIMEDOUT if it took too long), or with the signal's reason. */
export async function dial(options: DialOptions): Promise<Duplex> {
  checkDial(options)
  const socket = openSocket(options)
  try {
    return await withinOptions(establish(socket, options), options)
  } catch (error) {
    socket.destroy()
    // Node gives one error for each address of the host. The first says enough. The message of the common error is
    // empty.
    throw error instanceof AggregateError ? error.errors[0] : error
  }
}

function openSocket({ host = 'localhost', port, path, localAddress }: DialOptions): Socket {
  const common = { allowHalfOpen: true, noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES }
  const socket =
    path === undefined
      ? connect({ ...common, host, port: port ?? 0, ...(localAddress !== undefined && { localAddress }) })
      : connect({ ...common, path })
  // Whoever waits for the socket gets its error. Without a listener, an error that nobody waits for would end the
  // process.
  return socket.on('error', () => {})
}

async function establish(socket: Socket, options: DialOptions): Promise<Duplex> {
  const { tls, path, implicitTls = false, lingerMs = 5_000 } = options
  const handshake = tls && ((raw: Socket) => secure(raw, tls, options.host ?? 'localhost'))
  await once(socket, 'connect')
  const remote = path === undefined ? remoteEndpoint(socket) : unixEndpoint(path)
  const local = path === undefined ? undefined : unixEndpoint()
  const ready = implicitTls && handshake !== undefined ? await handshake(socket) : socket
  return new NodeDuplex(ready, { handshake, lingerMs }, remote, local)
}

/** Makes the client's side of a handshake. If it fails, the caller destroys the socket. */
function secure(raw: Socket, options: DialTlsOptions, host: string): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // An IP address is never sent as the server name (RFC 6066 3), but the certificate is checked against it.
    const socket = connectTls({ servername: isIP(host) === 0 ? host : '', ...options, host, socket: raw })
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('the connection was closed in the TLS handshake')))
    socket.once('secureConnect', () => resolve(socket))
  })
}
