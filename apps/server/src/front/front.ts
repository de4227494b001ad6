/**
 * The front accepts connections, and pipes each over its own WebSocket to the server.
 *
 * It sends only one SMTP reply itself: 421, to a client that it can't serve.
 */
import { Admission, type Duplex, type Endpoint, maxTurnedAway, type Place } from '@postern/engine'
import type { Logger } from '@logtape/logtape'
import { Carriage, factsOf, opened, pipeHeaders, type WebSocketLike } from '@postern/runtime/websocket'
import { WebSocket } from 'ws'
import { errorText } from '../host/failure.ts'
import { keepAlive } from './keepalive.ts'

export interface FrontOptions {
  /** The URL of the pipe: `wss://mail.example.com/pipe`. */
  readonly url: string
  readonly secret: string
  /** The host name in a 421. */
  readonly hostname: string
  /** The CA certificates that verify the server, as PEM. Default: those of the runtime. */
  readonly ca?: string | Uint8Array | undefined
  readonly connectTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly sessionTimeoutMs: number
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
  /** Set if some of its ports are for submission. Then a tenth of the places is reserved for them. */
  readonly keepsForSubmission: boolean
  readonly log: Logger
  /** After `end`, the connection closes if no data moves for this time. Default 5,000. */
  readonly lingerMs?: number | undefined
}

/** More than any frame of a pipe. */
const MAX_PAYLOAD_BYTES = 65_536
/**
 * The server ends idle sessions and tells the client why. The front waits this much longer, in case the server does not
 * end them.
 */
const FORGOTTEN_MS = 60_000
/** The longest time of a timer. A longer timer would fire at once. */
const MAX_TIMER_MS = 2_147_483_647

export class Front {
  readonly #options: FrontOptions
  readonly #carriages = new Set<Carriage>()
  readonly #admission: Admission
  #connectionCount = 0
  readonly #maxTurnedAway: number
  #turnedAway = 0
  #isClosing = false
  /** True when the grace time is over. */
  #isOver = false
  #allGone: (() => void) | undefined

  constructor(options: FrontOptions) {
    this.#options = options
    this.#admission = new Admission(options)
    this.#maxTurnedAway = maxTurnedAway(options.maxConnections)
  }

  get connectionCount(): number {
    return this.#connectionCount
  }

  /** Takes a place for a connection whose TLS handshake begins. Returns undefined if there is none. */
  reserve(remote: Endpoint, submission: boolean): Place | undefined {
    return this.#isClosing ? undefined : this.#admission.enter(remote, submission)
  }

  /**
   * Pipes one connection. Never rejects.
   * @param submission True if it came to a port for submission.
   * @param reserved Its place, if it has one
   */
  async accept(client: Duplex, submission: boolean, reserved?: Place): Promise<void> {
    if (this.#isClosing) {
      reserved?.leave()
      return this.#turnAway(client, '4.3.2', 'Shutting down')
    }
    const place = reserved ?? this.#admission.enter(client.remote, submission)
    if (place === undefined) return this.#turnAway(client, '4.7.0', 'Too many connections, try again later')
    this.#connectionCount++
    await this.#carry(client, submission)
    this.#connectionCount--
    place.leave()
    if (this.#connectionCount === 0) this.#allGone?.()
  }

  /** Accepts no more connections, waits for the existing ones, and destroys those that are left after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true
    if (this.#connectionCount === 0) return
    const allGone = new Promise<void>((resolve) => {
      this.#allGone = resolve
    })
    const timer = setTimeout(() => {
      this.#isOver = true
      for (const carriage of this.#carriages) carriage.destroy(new Error('the front was stopped'))
    }, graceMs)
    await allGone
    clearTimeout(timer)
  }

  async #carry(client: Duplex, submission: boolean): Promise<void> {
    const { connectTimeoutMs, idleTimeoutMs, sessionTimeoutMs, log } = this.#options
    const who = { remote: client.remote.address, remotePort: client.remote.port }
    let socket: WebSocket
    try {
      socket = await this.#dial(client, submission)
    } catch (error) {
      log.error('a connection cannot be piped', { ...who, reason: errorText(error) })
      return this.#turnAway(client, '4.3.0', 'Service not available, try again later')
    }
    const carriage = new Carriage(client, socket as WebSocketLike, {
      lingerMs: this.#options.lingerMs,
      idleTimeoutMs: forgottenAfterMs(idleTimeoutMs),
    })
    this.#carriages.add(carriage)
    const openMs = forgottenAfterMs(sessionTimeoutMs)
    const timer = setTimeout(() => carriage.destroy(new Error(`the connection was open for ${openMs} ms`)), openMs)
    try {
      await opened(socket as WebSocketLike, connectTimeoutMs)
    } catch (error) {
      clearTimeout(timer)
      this.#carriages.delete(carriage)
      log.warn('the server behind this front cannot be reached', { ...who, reason: errorText(error) })
      return this.#turnAway(client, '4.3.0', 'Service not available, try again later')
    }
    log.debug('piped', who)
    const stopPinging = keepAlive(socket)
    const broken = await carriage.run()
    stopPinging()
    clearTimeout(timer)
    this.#carriages.delete(carriage)
    if (broken === undefined) log.debug('closed', who)
    else log.info('a pipe broke', { ...who, reason: errorText(broken) })
  }

  /** Starts to open a WebSocket. */
  async #dial(client: Duplex, submission: boolean): Promise<WebSocket> {
    const { url, secret, ca, connectTimeoutMs } = this.#options
    const headers = await pipeHeaders(factsOf(client, submission), { secret, url })
    if (this.#isOver) throw new Error('the front was stopped')
    return new WebSocket(url, {
      headers: { ...headers },
      handshakeTimeout: connectTimeoutMs,
      maxPayload: MAX_PAYLOAD_BYTES,
      perMessageDeflate: false,
      ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : Buffer.from(ca) }),
    })
  }

  /** Sends 421 (RFC 5321 3.8, 4.2.1) and closes the connection. */
  async #turnAway(client: Duplex, enhancedCode: string, why: string): Promise<void> {
    if (this.#turnedAway >= this.#maxTurnedAway) return client.destroy()
    this.#turnedAway++
    try {
      const line = `421 ${enhancedCode} ${this.#options.hostname} ${why}\r\n`
      const written = client.write(new TextEncoder().encode(line))
      if (written instanceof Promise) written.catch(() => {})
      await client.end()
    } catch {
      client.destroy()
    } finally {
      this.#turnedAway--
    }
  }
}

/** Returns when the front closes a connection that the server should have ended after `ms`. */
function forgottenAfterMs(ms: number): number {
  return Math.min(ms + FORGOTTEN_MS, MAX_TIMER_MS)
}
