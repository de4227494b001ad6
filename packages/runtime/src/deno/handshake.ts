/**
 * Both sides of a TLS handshake, by `node:tls` over a stream. If a handshake fails, the caller destroys the stream.
 *
 * A `tls.Server` that listens nowhere makes the server's side, with client certificates and SNI. Its events do not say
 * which stream a handshake belongs to, unless the stream is a socket of Node. So each handshake has its own server
 * object, which inherits from the common one and has its own events.
 */
import type { Duplex } from 'node:stream'
import { type ConnectionOptions, connect, type Server, type TLSSocket } from 'node:tls'
import type { CheckedTls } from '../sockets/tls/credentials.ts'
import { makeTlsServer } from '../sockets/tls/server.ts'
import { checkServerTls } from './options.ts'
import { Vouched } from './vouched.ts'

/** Makes TLS on a stream, as server or as client. */
export type Handshake = (stream: Duplex) => Promise<TLSSocket>

interface Handshaker {
  readonly server: Server
  /** Undefined if no client is asked for a certificate. */
  readonly vouched: Vouched | undefined
}

const handshakers = new WeakMap<CheckedTls, Handshaker>()

/** Makes the server's side with these certificates. Also rejects if Deno does not support the options. */
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
 * Ends Deno's own timer of a handshake.
 * Deno (2.9) does not stop the timer after a failure. The timer keeps the socket and its memory for two minutes, so
 * clients that fail on purpose would fill the memory. Only the timer's callback can cancel it. Neither has a public
 * name. The callback reports that the handshake took too long, but the handshake has already failed then.
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

/** Fails the handshake when the peer ends or closes, because a handshake needs both directions. */
function failAtEnd(stream: Duplex, fail: (error: Error) => void): void {
  const closed = (): void => fail(new Error('the connection was closed in the TLS handshake'))
  stream.once('close', closed)
  // The last bytes of the handshake may have come with the end, so TLS reads them first.
  stream.once('end', () => setImmediate(closed))
}
