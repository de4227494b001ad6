/** Options of the listeners of all runtimes with sockets. */
import type { Duplex, Endpoint, Place, SessionOverrides } from '@postern/engine'
import type { TlsCredentials, TlsOptions } from './tls/credentials.ts'

/** The part of a server that a listener uses. */
export interface Acceptor {
  /**
   * Serves a connection.
   * @param place The result of `reserve` for this connection
   */
  accept(duplex: Duplex, overrides?: SessionOverrides, place?: Place): unknown
  /**
   * Takes a place for a connection whose TLS handshake begins, so that the connection counts from then on. If there is no place,
   * the listener closes the connection. An acceptor without this method counts connections after their handshake.
   *
   * @param giveUp Closes the connection, if its place goes to another one before the handshake is done
   */
  reserve?(remote: Endpoint, giveUp: (reason: Error) => void, overrides?: SessionOverrides): Place | undefined
}

/** How a listener treats each connection. */
export interface ConnectionOptions {
  /** Allows TLS on connections: by STARTTLS, or from the first byte with `implicitTls`. */
  readonly tls?: TlsOptions | TlsCredentials | undefined
  /** Starts TLS with the first byte (RFC 8314). Needs `tls`. Default false. */
  readonly implicitTls?: boolean | undefined
  /** How long the handshake of implicit TLS may take. Default 30,000. */
  readonly handshakeTimeoutMs?: number | undefined
  /** After `end`, the connection is closed when nothing has moved for this time. Default 5,000. */
  readonly lingerMs?: number | undefined
  /** Options of the server that differ for this listener's connections. */
  readonly overrides?: SessionOverrides | undefined
}

export interface ServeOptions extends ConnectionOptions {
  /**
   * The greatest number of implicit-TLS handshakes at the same time. If there is one more, the oldest one of the
   * address that has the most is given up. Default 500.
   */
  readonly maxHandshakes?: number | undefined
  /**
   * Called for an error before a connection is handed on. An accept may fail, with EMFILE for example; that is reported
   * once a second. Or a handshake may fail, and then `remote` is given. Bun does not report errors of accept.
   */
  readonly error?: ((error: Error, remote?: Endpoint) => void) | undefined
}

/** Either `port`, and optionally `host`; or `path`; or `fd`. */
export interface ListenOptions extends ServeOptions {
  /** 0 means any free port; `Listener.address` tells which. */
  readonly port?: number | undefined
  /** Default: every address, IPv6 and IPv4. */
  readonly host?: string | undefined
  /** A Unix socket. It replaces a socket that a dead process left there. */
  readonly path?: string | undefined
  /** The permissions of the Unix socket, such as `0o666`. Default: what the umask leaves of `0o777`. Only with `path`. */
  readonly mode?: number | undefined
  /** A listening socket that this process was started with, by its descriptor. Refused on Deno, which cannot use one. */
  readonly fd?: number | undefined
  /** Connections that may wait to be accepted. Default 511. Refused on Bun, which has a bound of its own. */
  readonly backlog?: number | undefined
  /**
   * Lets several processes listen on the same port. The system spreads the connections over them (SO_REUSEPORT). Not
   * for `path` or `fd`. If the system does not support it, listening fails. Default false.
   */
  readonly reusePort?: boolean | undefined
}

const MAX_MODE = 0o777

/** Checks what does not depend on the runtime. @throws TypeError */
export function checkListen({ port, path, mode, fd, reusePort }: ListenOptions): void {
  if ([port, path, fd].filter((place) => place !== undefined).length !== 1) {
    throw new TypeError('either port or path or fd')
  }
  if (mode !== undefined && path === undefined) throw new TypeError('mode: only for a path')
  if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= MAX_MODE)) {
    throw new TypeError(`mode: ${mode} is not a whole number from 0 to 0o777`)
  }
  if (port === undefined && reusePort === true)
    throw new TypeError(`reusePort: not for ${fd === undefined ? 'a path' : 'fd'}`)
}
