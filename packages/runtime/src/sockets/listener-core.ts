/**
 * Handles a connection that a listener has accepted, on every runtime.
 * If TLS comes first, the listener makes the handshake. So the server gets connections that are ready for SMTP. During
 * its handshake, a connection has a place of the server, if the server gives places.
 */
import type { Duplex, Endpoint, Place, SessionOverrides } from '@postern/engine'
import { checkDurations } from '../common/duration.ts'
import type { Acceptor, ServeOptions } from './inbound.ts'
import { HandshakeLimiter } from './limiter.ts'
import { TlsCredentials } from './tls/credentials.ts'

/** With implicit TLS, nothing was received in clear. */
const NOTHING = new Uint8Array(0)

export class ListenerCore {
  readonly credentials: TlsCredentials | undefined
  readonly lingerMs: number
  /** Reports an error that came before the connection was handed on. */
  readonly report: (error: Error, remote?: Endpoint) => void

  readonly #server: Acceptor
  readonly #overrides: SessionOverrides | undefined
  readonly #implicitTls: boolean
  readonly #limiter: HandshakeLimiter
  #isClosed = false

  /** @throws TypeError, RangeError, CertificateError */
  constructor(server: Acceptor, options: ServeOptions) {
    const { tls, implicitTls = false, lingerMs = 5_000, overrides, error = () => {} } = options
    if (implicitTls && tls === undefined) throw new TypeError('implicitTls: needs tls')
    checkDurations({ lingerMs })
    this.credentials = tls === undefined || tls instanceof TlsCredentials ? tls : new TlsCredentials(tls)
    this.lingerMs = lingerMs
    this.report = error
    this.#server = server
    // A proxy sends its header in clear, before the handshake. So the server makes the handshake, after the header.
    const isBehindProxy = overrides?.proxyProtocol !== undefined
    this.#overrides = implicitTls && isBehindProxy ? { ...overrides, implicitTls: true } : overrides
    this.#implicitTls = implicitTls && !isBehindProxy
    this.#limiter = new HandshakeLimiter(options)
  }

  /** True after `close` was called. The listener closes connections that it accepts after that. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Serves a connection. Reports a handshake that fails. */
  take(duplex: Duplex): void {
    if (!this.#beginsWithTls(duplex)) {
      void this.#server.accept(duplex, this.#overrides)
      return
    }
    this.#secure(duplex).then(
      (place) => this.#server.accept(duplex, this.#overrides, place),
      (error: Error) => this.report(error, duplex.remote),
    )
  }

  /** Serves a connection. Resolves when the server is done with it. Rejects if the handshake fails. */
  async serve(duplex: Duplex): Promise<void> {
    const place = this.#beginsWithTls(duplex) ? await this.#secure(duplex) : undefined
    await this.#server.accept(duplex, this.#overrides, place)
  }

  /** Gives up the running handshakes. Connections that the server has stay open. */
  close(): void {
    this.#isClosed = true
    this.#limiter.giveUp()
  }

  #beginsWithTls({ startTls }: Duplex): boolean {
    return this.#implicitTls && startTls !== undefined
  }

  /**
   * Takes a place for a connection and makes its handshake. Rejects if there is no place, or if the handshake fails. The
   * connection is closed then, and has no place.
   */
  async #secure(duplex: Duplex): Promise<Place | undefined> {
    const { remote } = duplex
    const server = this.#server
    const giveUp = (reason?: Error): void => duplex.destroy(reason)
    const place = server.reserve?.(remote, giveUp, this.#overrides)
    if (server.reserve !== undefined && place === undefined) {
      giveUp()
      throw new Error('too many connections')
    }
    try {
      await this.#limiter.run(remote, duplex.startTls?.(NOTHING), giveUp)
      return place
    } catch (error) {
      place?.leave()
      throw error
    }
  }
}
