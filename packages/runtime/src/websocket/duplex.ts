/**
 * A WebSocket as the engine's Duplex.
 *
 * Both ends run this. Binary frames are bytes, text frames are messages (control.ts). An end sends only as many binary
 * frames as the other end has allowed (credit.ts). Each direction ends by itself, with the message `end`. If the
 * WebSocket closes before both directions have ended, the connection broke.
 *
 * On a Worker, one request must not use an object of another one. So a duplex keeps nothing outside itself, and starts
 * no timer before `end`.
 */
import { EarlyBytesError, type Endpoint, type TlsInfo } from '@postern/engine'
import { BaseDuplex } from '../common/duplex.ts'
import { connectionClosed, type Wait } from '../common/wait.ts'
import { type Control, readControl } from './control.ts'
import { Allowance, MAX_FRAME_BYTES } from './credit.ts'
import { Outbox } from './outbox.ts'
import { abandon, errorOf, NORMAL_CLOSURE, OPEN, type WebSocketLike } from './socket.ts'

/** Which end this is. STARTTLS exists only between a server and a front. */
export type Role = 'peer' | 'server' | 'front'

export interface WebSocketOptions {
  readonly remote: Endpoint
  readonly local: Endpoint
  readonly tls?: TlsInfo | undefined
  /** After `end`, the connection is closed when nothing has moved for this time. Default 5,000. */
  readonly lingerMs?: number | undefined
}

export class WebSocketDuplex extends BaseDuplex {
  readonly remote: Endpoint
  readonly local: Endpoint

  readonly #socket: WebSocketLike
  readonly #role: Role
  /** Makes the peer wait, because a WebSocket cannot pause. */
  readonly #allowance: Allowance
  readonly #outbox: Outbox
  #isEndSent = false
  #isDiscarding = false
  #closing: ReturnType<typeof setTimeout> | undefined
  #handshake: Wait<TlsInfo> | undefined
  /** Counts bytes that came in clear after the server had asked for a handshake. */
  #earlyBytes = 0
  /** At the front: the server has asked for a handshake. The handshake begins when all earlier bytes have been read. */
  #clientHandshake: 'none' | 'asked' | 'begun' = 'none'

  /** @param canStartTls True if the front can make the handshake of STARTTLS. */
  constructor(socket: WebSocketLike, options: WebSocketOptions, role: Role = 'peer', canStartTls = false) {
    const isCareful = role !== 'peer' && canStartTls
    super(options.lingerMs ?? 5_000)
    this.#socket = socket
    this.#role = role
    this.#allowance = new Allowance(isCareful && role === 'server')
    this.#outbox = new Outbox(socket, isCareful && role === 'front', {
      sent: () => this.sent(),
      failed: (error) => this.destroy(error),
    })
    this.remote = options.remote
    this.local = options.local
    this.tls = options.tls
    if (isCareful && role === 'server') this.startTls = this.#startTls
    socket.binaryType = 'arraybuffer'
    socket.addEventListener('message', this.#onMessage)
    socket.addEventListener('error', this.#onError)
    socket.addEventListener('close', this.#onClose)
    if (socket.readyState > OPEN) this.#onClose()
  }

  override read(): Uint8Array | null | Promise<Uint8Array | null> {
    const answer = this.received.read()
    if (answer instanceof Uint8Array) this.#allowance.consume()
    if (answer !== null) this.#allow()
    if (answer instanceof Promise && this.#clientHandshake === 'asked') this.#beginHandshake()
    return answer
  }

  protected override send(bytes: Uint8Array): boolean {
    this.#outbox.put(bytes)
    this.#flush()
    return this.#outbox.unsentBytes === 0
  }

  protected override finish(): void {
    this.startTls = undefined
    this.#allowance.isCareful = false
    this.#flush()
    this.#allow()
  }

  protected override abandon(): void {
    abandon(this.#socket)
  }

  protected override get unsentBytes(): number {
    // A peer that reads allows more frames. `linger` sees from the difference that something has moved.
    return this.#outbox.unsentBytes - this.#outbox.credit.frames
  }

  protected override get isFinished(): boolean {
    return this.#isEndSent
  }

  // At the front

  /**
   * Called when the server has asked for a handshake and all earlier bytes have been read. Answer with
   * `answerHandshake`.
   */
  onHandshake: (() => void) | undefined

  /** Takes the rest of the pending write, if there is one, and lets the writer go on. */
  takeUnsent(): Uint8Array | undefined {
    return this.#outbox.takeUnsent()
  }

  /** Sends the server the result of the handshake. */
  answerHandshake(answer: Extract<Control, { type: 'tls' | 'early' | 'tlsFailed' }>): void {
    this.#clientHandshake = 'none'
    if (answer.type === 'tls') this.#outbox.credit.isCareful = false
    this.#outbox.say(answer)
  }

  #beginHandshake(): void {
    if (this.onHandshake === undefined) return this.#violate('a request for a handshake that this end cannot make')
    this.#clientHandshake = 'begun'
    this.onHandshake()
  }

  // Receiving

  readonly #onMessage = ({ data }: { readonly data: unknown }): void => {
    if (this.isClosed) return
    if (data instanceof ArrayBuffer) return this.#onBytes(new Uint8Array(data))
    const control = typeof data === 'string' ? readControl(data) : undefined
    if (control === undefined) this.#violate('a text frame that is not a message')
    else this.#onControl(control)
  }

  #onBytes(bytes: Uint8Array): void {
    const { received } = this
    if (!this.#allowance.receive() || bytes.byteLength > MAX_FRAME_BYTES) return this.#violate('more than is allowed')
    // After the server has asked for a handshake, the front takes no bytes, because they would reach the client during
    // the handshake.
    const isOutOfPlace = bytes.byteLength === 0 || received.isEnded || this.#clientHandshake !== 'none'
    if (isOutOfPlace) return this.#violate('a frame that is not allowed now')
    this.#outbox.credit.takeBack()
    if (this.#handshake !== undefined) {
      this.#earlyBytes += bytes.byteLength
      return this.#allowance.consume()
    }
    const isTaken = received.isReading || this.#isDiscarding
    if (!this.#isDiscarding) received.push(bytes)
    if (!isTaken) return
    this.#allowance.consume()
    this.#allow()
  }

  #onControl(control: Control): void {
    switch (control.type) {
      case 'credit':
        return this.#outbox.credit.allow(control.frames) ? this.#flush() : this.#violate('more credit than a window')
      case 'end':
        this.#outbox.credit.isCareful = false
        this.startTls = undefined
        this.received.end()
        this.#handshake?.reject(connectionClosed())
        this.#handshake = undefined
        return this.#closeIfOver()
      case 'startTls':
        if (this.#role !== 'front' || !this.#outbox.credit.isCareful || this.#clientHandshake !== 'none') {
          return this.#violate('startTls, which this connection does not have')
        }
        this.#clientHandshake = 'asked'
        if (this.received.isReading) this.#beginHandshake()
        return
      default:
        return this.#onHandshakeAnswer(control)
    }
  }

  // Sending

  /** Sends as many bytes as the peer allows. After the last one, sends our end if `end` was called. */
  #flush(): void {
    if (this.#outbox.flush()) {
      this.#allowance.takeBack()
      this.#allow()
    }
    if (!this.isEnding || this.#isEndSent || this.isClosed || this.#outbox.unsentBytes > 0) return
    this.#isEndSent = true
    this.#outbox.say({ type: 'end' })
    this.#closeIfOver()
  }

  /** Tells the peer what it may send, if that has changed. */
  #allow(): void {
    if (this.received.isEnded || this.isClosed) return
    const frames = this.#allowance.next(this.received.isReading)
    if (frames !== undefined) this.#outbox.say({ type: 'credit', frames })
  }

  // Ending

  protected override giveUp(): void {
    this.#socket.close(NORMAL_CLOSURE)
    this.closed()
  }

  /** Drops bytes that nobody reads, if the peer waits for a reader. A later read fails, because bytes are missing. */
  protected override throwAway(): void {
    if (this.#isDiscarding || !this.#allowance.isUsedUp) return
    this.#isDiscarding = true
    this.received.fail(new Error('bytes that came after the end were dropped'))
    this.received.drop()
    this.#allowance.consumeAll()
    this.#allow()
  }

  /** Closes the WebSocket when both directions have ended. */
  #closeIfOver(): void {
    if (!this.#isEndSent || !this.received.isEnded || this.isClosed || this.#closing !== undefined) return
    this.stopLingering()
    this.#closing = setTimeout(() => this.close(), this.lingerMs)
    this.#socket.close(NORMAL_CLOSURE)
  }

  /** Closes the connection because the peer broke the rules. */
  #violate(what: string): void {
    this.destroy(new Error(`the other end of the pipe sent ${what}`))
  }

  readonly #onError = (event: { readonly error?: unknown; readonly message?: unknown }): void => {
    this.close(errorOf(event))
  }

  readonly #onClose = (): void => this.closed()

  protected override cleanUp(): void {
    clearTimeout(this.#closing)
    this.#handshake?.reject(this.closeReason)
    this.#handshake = undefined
  }

  // TLS, at the server

  async #startTls(received?: Uint8Array): Promise<TlsInfo> {
    this.checkTls()
    // A pipe has no PROXY header in front of TLS, because the front names the client.
    if (received !== undefined) throw new Error('a pipe cannot begin with TLS')
    const early = this.received.drop()
    if (early > 0) {
      this.#allowance.consumeAll()
      throw new EarlyBytesError(early)
    }
    this.startTls = undefined
    this.#earlyBytes = 0
    return new Promise((resolve, reject) => {
      this.#handshake = { resolve, reject }
      this.#outbox.say({ type: 'startTls' })
    })
  }

  #onHandshakeAnswer(answer: Extract<Control, { type: 'tls' | 'early' | 'tlsFailed' }>): void {
    const handshake = this.#handshake
    if (handshake === undefined) return this.#violate(`${answer.type}, which nobody asked for`)
    this.#handshake = undefined
    if (answer.type === 'tlsFailed') {
      const error = new Error(`the TLS handshake failed: ${answer.reason}`)
      this.destroy(error)
      return handshake.reject(error)
    }
    if (answer.type === 'early') {
      this.startTls = this.#startTls
      return handshake.reject(new EarlyBytesError(answer.byteLength + this.#earlyBytes))
    }
    if (this.#earlyBytes > 0) {
      // The front made a handshake, but it had passed on earlier bytes.
      const error = new EarlyBytesError(this.#earlyBytes)
      this.destroy(error)
      return handshake.reject(error)
    }
    this.tls = answer.tls
    this.#allowance.isCareful = false
    this.#allow()
    handshake.resolve(answer.tls)
  }
}
