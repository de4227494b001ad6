/** Connecting to somebody who listens. */
import type { Duplex } from '@postern/engine'
import { isIP } from 'node:net'
import type { ConnectionOptions as NodeTlsOptions } from 'node:tls'
import { checkDurations } from '../duration.ts'
import { unixEndpoint } from '../endpoint.ts'
import { deno, type DenoConnection } from './api.ts'
import { ConnectionDuplex } from './duplex.ts'
import { endpoint } from './endpoint.ts'
import { withCode } from './errors.ts'
import { clientHandshake, type Handshake } from './handshake.ts'

/** As `tls.connect` of `node:tls` takes them: servername, rejectUnauthorized, ca, cert, key … */
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

/** Nothing has come of a handshake that we begin. */
const NOTHING = new Uint8Array(0)

/** Connects. Rejects with an error and Node's `code` (ETIMEDOUT where it took too long), or with the signal's reason. */
export async function dial(options: DialOptions): Promise<Duplex> {
  const { port, path, signal, connectTimeoutMs = 30_000, lingerMs = 5_000 } = options
  if ((port === undefined) === (path === undefined)) throw new TypeError('either port or path')
  if (options.implicitTls === true && options.tls === undefined) throw new TypeError('implicitTls: needs tls')
  checkDurations({ connectTimeoutMs, lingerMs })
  signal?.throwIfAborted()
  const giveUp = new AbortController()
  const abort = (): void => giveUp.abort(signal?.reason)
  signal?.addEventListener('abort', abort)
  const timer = setTimeout(() => {
    const error = new Error(`no connection to ${path ?? `port ${port}`} within ${connectTimeoutMs} ms`)
    giveUp.abort(Object.assign(error, { code: 'ETIMEDOUT' }))
  }, connectTimeoutMs)
  try {
    return await establish(options, lingerMs, giveUp.signal)
  } catch (error) {
    throw giveUp.signal.aborted ? giveUp.signal.reason : withCode(error)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

async function establish(options: DialOptions, lingerMs: number, signal: AbortSignal): Promise<Duplex> {
  const { tls, path, implicitTls = false } = options
  const connection = await connect(options, signal)
  const [remote, local] =
    path === undefined
      ? [endpoint(connection.remoteAddr), endpoint(connection.localAddr)]
      : [unixEndpoint(path), unixEndpoint()]
  const handshake = tls && secure(tls, options.host ?? 'localhost')
  const duplex = new ConnectionDuplex(connection, { handshake, lingerMs }, remote, local)
  if (!implicitTls || duplex.startTls === undefined) return duplex
  const abort = (): void => duplex.destroy()
  signal.addEventListener('abort', abort)
  try {
    await duplex.startTls(NOTHING)
    return duplex
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

async function connect({ host = 'localhost', port = 0, path }: DialOptions, signal: AbortSignal): Promise<DenoConnection> {
  const connection = await (path === undefined
    ? deno.connect({ hostname: host, port, signal })
    : deno.connect({ transport: 'unix', path }))
  if (!signal.aborted) return connection
  connection.close()
  throw signal.reason
}

function secure(options: DialTlsOptions, host: string): Handshake {
  // An IP address is no name to ask for (RFC 6066 3), but the certificate is checked against it all the same.
  return (stream) => clientHandshake(stream, { servername: isIP(host) === 0 ? host : '', ...options, host })
}
