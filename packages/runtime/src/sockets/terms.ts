/** The terms on which a listener takes connections: its options, checked, with what they leave out. */
import type { Endpoint, Place, SessionOverrides } from '@postern/engine'
import { TlsCredentials } from './tls/credentials.ts'
import { checkDurations } from '../common/duration.ts'
import { type GiveUp, Handshakes } from './limiter.ts'
import type { Acceptor, ListenOptions, ServeOptions } from './inbound.ts'

/** What a handshake gave, and the place of its connection. */
interface Secured<T> {
  readonly secured: T
  readonly place: Place | undefined
}

export class Terms {
  readonly credentials: TlsCredentials | undefined
  /** The listener makes a handshake before it hands a connection on. */
  readonly implicitTls: boolean
  readonly lingerMs: number
  readonly overrides: SessionOverrides | undefined
  readonly handshakes: Handshakes
  readonly error: (error: Error, remote?: Endpoint) => void

  /** @throws TypeError, RangeError, CertificateError */
  constructor(options: ServeOptions) {
    const { tls, implicitTls = false, lingerMs = 5_000, handshakeTimeoutMs = 30_000, overrides } = options
    if (implicitTls && tls === undefined) throw new TypeError('implicitTls: needs tls')
    checkDurations({ lingerMs, handshakeTimeoutMs })
    this.credentials = tls === undefined || tls instanceof TlsCredentials ? tls : new TlsCredentials(tls)
    // Behind a proxy, its header comes in clear before the handshake, so that both are the server's.
    const isBehindProxy = overrides?.proxyProtocol !== undefined
    this.implicitTls = implicitTls && !isBehindProxy
    this.lingerMs = lingerMs
    this.overrides = implicitTls && isBehindProxy ? { ...overrides, implicitTls: true } : overrides
    this.handshakes = new Handshakes(options)
    this.error = options.error ?? (() => {})
  }

  /**
   * Takes a place for a connection, and waits for its handshake, which `begin` begins. Rejects if there is no place or the
   * handshake fails: the connection is closed then, and has no place.
   */
  async secure<T>(server: Acceptor, remote: Endpoint, begin: () => Promise<T>, giveUp: GiveUp): Promise<Secured<T>> {
    const place = server.reserve?.(remote, giveUp, this.overrides)
    if (server.reserve !== undefined && place === undefined) {
      giveUp()
      throw new Error('too many connections')
    }
    try {
      return { secured: await this.handshakes.run(remote, begin(), giveUp), place }
    } catch (error) {
      place?.leave()
      throw error
    }
  }
}

/** @throws TypeError */
export function checkPlace({ port, path, reusePort }: ListenOptions): void {
  if ((port === undefined) === (path === undefined)) throw new TypeError('either port or path')
  if (path !== undefined && reusePort === true) throw new TypeError('reusePort: not for a path')
}
