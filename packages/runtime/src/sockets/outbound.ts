/** Options of the diallers of all runtimes with sockets, and the time limit of an attempt. */
import type { ConnectionOptions as NodeTlsOptions } from 'node:tls'
import { withinBounds } from '../common/attempt.ts'
import { checkDurations } from '../common/duration.ts'

/** Options of Node's `tls.connect`: servername, rejectUnauthorized, ca, cert, key … */
export type DialTlsOptions = Omit<NodeTlsOptions, 'socket' | 'host' | 'port' | 'path' | 'timeout'>

/** Either `port`, and optionally `host`; or `path`. */
export interface DialOptions {
  /** Default localhost. */
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** A Unix socket. */
  readonly path?: string | undefined
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

/** Checks what does not depend on the runtime. @throws TypeError, RangeError, or the signal's reason */
export function checkDial({ port, path, tls, implicitTls, connectTimeoutMs, lingerMs, signal }: DialOptions): void {
  if ((port === undefined) === (path === undefined)) throw new TypeError('either port or path')
  if (implicitTls === true && tls === undefined) throw new TypeError('implicitTls: needs tls')
  checkDurations({ connectTimeoutMs: connectTimeoutMs ?? 1, lingerMs: lingerMs ?? 1 })
  signal?.throwIfAborted()
}

/** Waits for the attempt as long as the options allow. Rejects with ETIMEDOUT, or with the signal's reason. */
export function withinOptions<T>(attempt: Promise<T>, options: DialOptions): Promise<T> {
  return withinBounds(attempt, options.path ?? `port ${options.port}`, options)
}
