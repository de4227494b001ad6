/** What diallers of every server runtime are told, and how long they wait. */
import type { ConnectionOptions as NodeTlsOptions } from 'node:tls'
import { withinBounds } from '../common/attempt.ts'
import { checkDurations } from '../common/duration.ts'

/** Options of Node's `tls.connect`: servername, rejectUnauthorized, ca, cert, key … */
export type DialTlsOptions = Omit<NodeTlsOptions, 'socket' | 'host' | 'port' | 'path' | 'timeout'>

/** Either `port`, and maybe `host`; or `path`. */
export interface DialOptions {
  /** Default localhost. */
  readonly host?: string | undefined
  readonly port?: number | undefined
  /** A Unix socket. */
  readonly path?: string | undefined
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
