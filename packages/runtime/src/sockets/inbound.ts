/** What listeners of every server runtime are told: whom they serve, and how. */
import type { Duplex, Endpoint, Place, SessionOverrides } from '@postern/engine'
import type { TlsCredentials, TlsOptions } from './tls/credentials.ts'

/** What a listener needs of a server. */
export interface Acceptor {
  /** Serves a connection. @param place What `reserve` gave for this connection */
  accept(duplex: Duplex, overrides?: SessionOverrides, place?: Place): unknown
  /**
   * Takes a place for a connection whose TLS handshake begins, so that the connection counts from then on. If there is no place,
   * the listener closes the connection. An acceptor without this method counts connections after their handshake.
   *
   * @param giveUp Closes the connection, if its place goes to another one before the handshake is done
   */
  reserve?(remote: Endpoint, giveUp: (reason: Error) => void, overrides?: SessionOverrides): Place | undefined
}

/** How each connection is treated. */
export interface ConnectionOptions {
  /** Lets connections become TLS: by STARTTLS, or from the first byte with `implicitTls`. */
  readonly tls?: TlsOptions | TlsCredentials | undefined
  /** TLS before anything else (RFC 8314). Needs `tls`. Default false. */
  readonly implicitTls?: boolean | undefined
  /** How long the handshake of implicit TLS may take. Default 30,000. */
  readonly handshakeTimeoutMs?: number | undefined
  /** After `end`, the connection is closed when nothing has moved for so long. Default 5,000. */
  readonly lingerMs?: number | undefined
  /** Policies for this listener's connections. */
  readonly overrides?: SessionOverrides | undefined
}

export interface ServeOptions extends ConnectionOptions {
  /** Handshakes of implicit TLS at the same time. With one more, the oldest of the address that has most is given up. Default 500. */
  readonly maxHandshakes?: number | undefined
  /**
   * Called when something goes wrong before a connection is handed on: accepting (EMFILE, say; once a second), or a handshake
   * (then with `remote`). Bun does not report errors of accepting.
   */
  readonly error?: ((error: Error, remote?: Endpoint) => void) | undefined
}

/** Either `port`, and maybe `host`; or `path`. */
export interface ListenOptions extends ServeOptions {
  /** 0 means any free port; `Listener.address` tells which. */
  readonly port?: number | undefined
  /** Default: every address, IPv6 and IPv4. */
  readonly host?: string | undefined
  /** A Unix socket. A socket that a dead process left there is replaced. */
  readonly path?: string | undefined
  /** Connections that may wait to be accepted. Default 511. Refused on Bun, which has a bound of its own. */
  readonly backlog?: number | undefined
  /**
   * Lets several processes listen on the same port, and the system shares the connections out (SO_REUSEPORT). Not for `path`. If
   * the system cannot do it, listening fails. Default false.
   */
  readonly reusePort?: boolean | undefined
}

/** Checks what does not depend on the runtime. @throws TypeError */
export function checkListen({ port, path, reusePort }: ListenOptions): void {
  if ((port === undefined) === (path === undefined)) throw new TypeError('either port or path')
  if (path !== undefined && reusePort === true) throw new TypeError('reusePort: not for a path')
}
