/**
 * Connections that are not sessions yet: the server waits for a proxy's header, or for the TLS handshake behind it.
 * Their time and their number are bounded. If there is one too many, the server closes the oldest one of the address
 * that has the most. That address is the proxy's until the header has come, and then the client's. If a wait fails, the
 * client gets no reply, because the server does not know yet which protocol it speaks.
 */
import { acrossCopies } from '../../copies.ts'
import type { Duplex, Endpoint } from '../../duplex.ts'
import type { Limits } from '../../protocol/limits.ts'
import { parseProxyHeader } from '../../protocol/framing/proxy-header.ts'
import { FairSet } from './fair-set.ts'
import { join, ProxiedDuplex } from './proxied.ts'

/** A TLS handshake or a proxy's header failed. The `error` hook gets it, with the session if there was one (STARTTLS). */
export class ArrivalError extends Error {
  static {
    acrossCopies(this, 'ArrivalError')
  }
  override readonly name = 'ArrivalError'
  /** What the server waited for. */
  readonly stage: 'proxy-header' | 'tls-handshake'
  /** The client, as far as it is known. Before the header it is the proxy. */
  readonly remote: Endpoint
  /**
   * Octets that came. 0: the client left without sending, as port scanners do. undefined for a handshake, where the
   * number is not known.
   */
  readonly receivedOctets: number | undefined
  /** True if the time was over. */
  readonly timedOut: boolean
  constructor(stage: ArrivalError['stage'], remote: Endpoint, reason: unknown, receivedOctets?: number) {
    super(reason instanceof Error ? reason.message : String(reason), { cause: reason })
    this.stage = stage
    this.remote = remote
    this.receivedOctets = receivedOctets
    this.timedOut = reason instanceof TimeUpError
  }
}

class TimeUpError extends Error {}

/** Ends a wait. */
type GiveUp = (why: Error) => void

const NOTHING = new Uint8Array(0)

export class Arrivals {
  readonly #limits: Limits
  readonly #report: (error: ArrivalError) => void
  readonly #waiting: FairSet<GiveUp>
  #isOver = false

  constructor(limits: Limits, report: (error: ArrivalError) => void) {
    this.#limits = limits
    this.#waiting = new FairSet(limits.maxConnections)
    this.#report = report
  }

  /** Reads the header of a trusted proxy. Returns the client's connection, or undefined if there is none. Never rejects. */
  async identify(duplex: Duplex): Promise<Duplex | undefined> {
    let receivedOctets = 0
    return this.#bounded(
      duplex,
      'PROXY header',
      this.#limits.proxyHeaderTimeoutMs,
      (why) => new ArrivalError('proxy-header', duplex.remote, why, receivedOctets),
      async () => {
        let received: Uint8Array = NOTHING
        for (;;) {
          const read = duplex.read()
          const bytes = read instanceof Promise ? await read : read
          if (bytes === null) throw new Error('the connection ended before its PROXY header')
          received = received.byteLength === 0 ? bytes : join(received, bytes)
          receivedOctets = received.byteLength
          const parsed = parseProxyHeader(received)
          if (parsed.type === 'malformed') throw new Error(`no PROXY header: ${parsed.reason}`)
          if (parsed.type === 'header') {
            return new ProxiedDuplex(duplex, parsed.header, received.subarray(parsed.byteLength))
          }
          // Copies the view, which is valid only until the next read.
          if (received === bytes) received = bytes.slice()
        }
      },
    )
  }

  /** Makes the handshake of implicit TLS. Returns whether the connection is TLS now. Never rejects. */
  async secure(duplex: Duplex): Promise<boolean> {
    const tls = await this.#bounded(
      duplex,
      'TLS handshake',
      this.#limits.tlsHandshakeTimeoutMs,
      (why) => new ArrivalError('tls-handshake', duplex.remote, why),
      async () => {
        if (duplex.startTls === undefined) throw new Error('implicitTls: this connection cannot become TLS')
        return duplex.startTls(NOTHING)
      },
    )
    return tls !== undefined
  }

  /** Ends all waits, for good. Errors that this causes are not reported. */
  close(): void {
    this.#isOver = true
    for (const giveUp of this.#waiting) giveUp(new Error('the server stopped'))
  }

  /**
   * Returns what `work` makes of the connection. If that fails, reports the error, destroys the connection and returns
   * undefined.
   */
  async #bounded<T>(
    duplex: Duplex,
    what: string,
    ms: number,
    failure: (why: unknown) => ArrivalError,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    const { promise: givenUp, reject: giveUp } = Promise.withResolvers<never>()
    const displaced = this.#waiting.add(duplex.remote, giveUp)
    displaced?.(new Error('too many connections are waiting'))
    const timer = setTimeout(() => giveUp(new TimeUpError(`no ${what} within ${ms} ms`)), ms)
    try {
      return await Promise.race([givenUp, work()])
    } catch (error) {
      duplex.destroy()
      if (!this.#isOver) this.#report(failure(error))
      return undefined
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(giveUp)
    }
  }
}
