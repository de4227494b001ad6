/** Connects from a Worker. Cloudflare's network blocks port 25, its own addresses, and private addresses. */
import { connect } from 'cloudflare:sockets'
import type { Duplex } from '@postern/engine'
import { withinBounds } from '../common/attempt.ts'
import { checkDurations } from '../common/duration.ts'
import { openDuplex } from './duplex.ts'

export interface DialTlsOptions {
  /** The name that the peer's certificate must have. Default: `host`. */
  readonly servername?: string | undefined
}

export interface DialOptions {
  /** A name or an IP address. */
  readonly host: string
  readonly port: number
  /** Allows TLS on the connection: by `startTls`, or from the first byte with `implicitTls`. */
  readonly tls?: DialTlsOptions | undefined
  /** Starts TLS with the first byte. Needs `tls`. Default false. */
  readonly implicitTls?: boolean | undefined
  /** Bounds the whole attempt: the name look-up, the connect, and the handshake of implicit TLS. Default 30,000. */
  readonly connectTimeoutMs?: number | undefined
  /** After `end`, the connection is closed when nothing has moved for this time. Default 5,000. */
  readonly lingerMs?: number | undefined
  /** Gives up the attempt. It has no effect on a connection that is established. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Connects with `connect` of `cloudflare:sockets`. Rejects with workerd's error, with an error of code ETIMEDOUT, or
 * with the signal's reason. The runtime decides which authorities are trusted.
 */
export async function dial(options: DialOptions): Promise<Duplex> {
  const { host, port, tls, implicitTls = false, connectTimeoutMs = 30_000, lingerMs = 5_000, signal } = options
  if (implicitTls && tls === undefined) throw new TypeError('implicitTls: needs tls')
  checkDurations({ connectTimeoutMs, lingerMs })
  signal?.throwIfAborted()
  const secureTransport = tls === undefined ? 'off' : 'starttls'
  // workerd joins the two by a colon.
  const hostname = host.includes(':') ? `[${host}]` : host
  const socket = connect({ hostname, port }, { secureTransport, allowHalfOpen: true })
  const opening = openDuplex(socket, { lingerMs }, { name: tls?.servername === host ? undefined : tls?.servername })
  try {
    return await withinBounds(implicitTls ? secured(opening) : opening, `port ${port}`, options)
  } catch (error) {
    socket.close().catch(() => {})
    // During a handshake, the duplex has another socket.
    opening.then(
      (duplex) => duplex.destroy(),
      () => {},
    )
    throw error
  }
}

async function secured(opening: Promise<Duplex>): Promise<Duplex> {
  const duplex = await opening
  try {
    await duplex.startTls?.()
  } catch (error) {
    // workerd's errors have no code.
    throw Object.assign(new Error('the TLS handshake failed', { cause: error }), { code: 'ERR_TLS_HANDSHAKE' })
  }
  return duplex
}
