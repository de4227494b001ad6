/**
 * Both sides of a TLS handshake, by `node:tls` over a stream. If a handshake fails, the caller destroys the stream.
 *
 * A `tls.Server` that listens nowhere makes the server's side, with client certificates and SNI. Its events do not tell which
 * stream a handshake belongs to, unless the stream is a socket of Node. So each handshake has a server object of its own, which
 * inherits from the common one and only reports elsewhere.
 */
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, type Server, type TLSSocket } from 'node:tls'
import type { CheckedTls } from '../sockets/tls/credentials.ts'
import { makeTlsServer } from '../sockets/tls/server.ts'
import { checkServerTls } from './options.ts'
import { Vouched } from './vouched.ts'

/** Makes the TLS of a stream, on whichever side this is. */
export type Handshake = (stream: Duplex) => Promise<TLSSocket>

interface Handshaker {
  readonly server: Server
  /** Undefined if no client is asked for a certificate. */
  readonly vouched: Vouched | undefined
}

const handshakers = new WeakMap<CheckedTls, Handshaker>()

/** Makes the server's side with these certificates. Rejects also if Deno cannot do what the options ask for. */
export function serverHandshake(stream: Duplex, tls: CheckedTls): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const { server, vouched } = handshakerOf(tls)
    const heir = Object.create(server) as Server
    heir.emit = (event: string, told: unknown, failed?: unknown): boolean => {
      if (event === 'tlsClientError') {
        reject(told as Error)
        endTimer(failed as TLSSocket)
      }
      if (event !== 'secureConnection') return true
      const refusal = vouched?.look(told as TLSSocket)
      if (refusal === undefined) resolve(told as TLSSocket)
      else reject(refusal)
      return true
    }
    failAtEnd(stream, reject)
    Reflect.apply(server.emit, heir, ['connection', stream])
  })
}

/**
 * Ends Deno's own timer of a handshake. Deno (2.9) lets it run on after a failure. The timer holds the socket and all that belongs
 * to it for two minutes, so that clients that fail on purpose would fill the memory. Only the timer's own callback can cancel it,
 * and neither has a public name. The callback reports a handshake that takes too long, which comes too late to count.
 */
function endTimer(failed: TLSSocket): void {
  const name = Object.getOwnPropertySymbols(failed).find(({ description }) => description === 'handshake-timer')
  if (name === undefined) return
  const timers = failed as unknown as Record<symbol, { readonly _onTimeout?: () => void } | null>
  timers[name]?._onTimeout?.()
}

function handshakerOf(tls: CheckedTls): Handshaker {
  let handshaker = handshakers.get(tls)
  if (handshaker !== undefined) return handshaker
  checkServerTls(tls.options)
  const { clientCertificates = 'none' } = tls.options
  const vouched = clientCertificates === 'none' ? undefined : new Vouched(clientCertificates === 'require')
  handshaker = { server: makeTlsServer(tls), vouched }
  handshakers.set(tls, handshaker)
  return handshaker
}

/** Makes the client's side. */
export function clientHandshake(stream: Duplex, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...options, socket: stream })
    failAtEnd(stream, reject)
    socket.on('error', reject)
    socket.once('secureConnect', () => resolve(socket))
  })
}

/** Fails the handshake when the peer ends or closes: a handshake needs both directions. */
function failAtEnd(stream: Duplex, fail: (error: Error) => void): void {
  const closed = (): void => fail(new Error('the connection was closed in the TLS handshake'))
  stream.once('close', closed)
  // What came with the end may have been the last of the handshake, so TLS looks at it first.
  stream.once('end', () => setImmediate(closed))
}
