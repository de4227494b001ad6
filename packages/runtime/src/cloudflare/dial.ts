/** Dialling from a Worker. Cloudflare's network lets nobody dial port 25, its own addresses, or private ones. */
import { connect } from 'cloudflare:sockets'
import type { Duplex } from '@postern/engine'
import { withinBounds } from '../common/attempt.ts'
import { checkDurations } from '../common/duration.ts'
import { openDuplex } from './duplex.ts'

export interface DialTlsOptions {
  /** Whose certificate the peer must show. Default: `host`. */
  readonly servername?: string | undefined
}

export interface DialOptions {
  /** A name or an IP address. */
  readonly host: string
  readonly port: number
  /** Lets the connection become TLS: by `startTls`, or from the first byte with `implicitTls`. */
  readonly tls?: DialTlsOptions | undefined
  /** TLS before anything else. Needs `tls`. Default false. */
  readonly implicitTls?: boolean | undefined
  /** For the whole attempt: looking up the name, connecting, and the handshake of implicit TLS. Default 30,000. */
  readonly connectTimeoutMs?: number | undefined
  /** After `end`, the connection is closed when nothing has moved for so long. Default 5,000. */
  readonly lingerMs?: number | undefined
  /** Gives up the attempt. It has no effect on a connection that is established. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Connects, with `connect` of `cloudflare:sockets`. Rejects with workerd's error, with an error of code ETIMEDOUT, or with the
 * signal's reason. The runtime decides which authorities are trusted.
 */
export async function dial(options: DialOptions): Promise<Duplex> {
  const { host, port, tls, implicitTls = false, connectTimeoutMs = 30_000, lingerMs = 5_000, signal } = options
  if (implicitTls && tls === undefined) throw new TypeError('implicitTls: needs tls')
  checkDurations({ connectTimeoutMs, lingerMs })
  signal?.throwIfAborted()
  const secureTransport = tls === undefined ? 'off' : 'starttls'
  const socket = connect({ hostname: host, port }, { secureTransport, allowHalfOpen: true })
  const opening = openDuplex(socket, { lingerMs }, tls?.servername ?? host)
  try {
    return await withinBounds(implicitTls ? secured(opening) : opening, `port ${port}`, options)
  } catch (error) {
    socket.close().catch(() => {})
    // In a handshake, the duplex has another socket.
    opening.then(
      (duplex) => duplex.destroy(),
      () => {},
    )
    throw error
  }
}

async function secured(opening: Promise<Duplex>): Promise<Duplex> {
  const duplex = await opening
  await duplex.startTls?.()
  return duplex
}
