/**
 * Moves a client's bytes: sends commands, and waits for whole replies.
 * A write that fails is not an error by itself, because the server may have said why before it closed. The next wait for a reply
 * tells.
 */
import { type Duplex, EarlyBytesError, type TlsInfo } from '../duplex.ts'
import { ReplyReader } from '../protocol/client/reply-reader.ts'
import { replyText, type ServerReply } from '../protocol/client/server-reply.ts'
import { ClientError, type ClientErrorReason, type ClientStage, messageOf } from './error.ts'
import type { ClientSettings } from './options.ts'

export type ChannelOptions = Pick<ClientSettings, 'timeouts' | 'limits' | 'trace' | 'verifyServer'>

const SERVICE_NOT_AVAILABLE = 421
const encoder = new TextEncoder()

export class Channel {
  readonly duplex: Duplex
  readonly timeouts: ClientSettings['timeouts']
  /** The step that the client is at, for the errors of a connection that is lost. */
  stage: ClientStage = 'greeting'
  /** Why nothing more can be sent or read. */
  failure: ClientError | undefined
  /** The server has said 421, or the client QUIT. */
  isLeaving = false
  /** Nothing can be sent any more. What the server said before can still be read. */
  isBroken = false

  /** `verifyServer` has accepted the server. */
  isAccepted = false

  readonly #limits: ClientSettings['limits']
  readonly #trace: ClientSettings['trace']
  readonly #verifyServer: ClientSettings['verifyServer']
  #reader: ReplyReader
  /** A read that has begun. It resolves when the reader has the bytes, or the channel has failed. */
  #reading: Promise<void> | undefined
  /** A write that the server has not taken yet. */
  #writing: PromiseWithResolvers<void> | undefined
  /** Wakes a wait for something else than the server. */
  #interrupt: (() => void) | undefined
  /** The client waits for nothing. A 421 that comes now ends the connection. */
  #isIdle = false
  /** A 421 that answered nothing. */
  #farewell: ServerReply | undefined

  constructor(duplex: Duplex, { timeouts, limits, trace, verifyServer }: ChannelOptions) {
    this.duplex = duplex
    this.timeouts = timeouts
    this.#limits = limits
    this.#trace = trace
    this.#verifyServer = verifyServer
    this.#reader = new ReplyReader(limits)
    duplex.whenClosed?.(() => {
      this.isBroken = true
      this.#interrupt?.()
    })
  }

  get isOpen(): boolean {
    return this.failure === undefined && !this.isLeaving
  }

  /** True if a write waits for the server. */
  get isWriting(): boolean {
    return this.#writing !== undefined
  }

  /** True if writing has no use: the connection broke, or the server has sent something that is not due. */
  get isInterrupted(): boolean {
    return this.failure !== undefined || this.isBroken || this.#reader.hasInput
  }

  /** @throws ClientError if nothing can be sent any more, or if the server has sent a reply to nothing */
  assertReady(stage: ClientStage): void {
    this.#isIdle = false
    this.stage = stage
    if (this.#reader.hasInput) this.#takeFarewell()
    if (this.failure !== undefined) throw this.failure
    if (this.isLeaving) throw this.#closed()
    if (this.#reader.hasInput) throw this.fail('protocol', 'the server sent a reply before it was due')
  }

  /** Watches the connection while the client has nothing to send. @param mayRead No TLS handshake can follow */
  idle(mayRead: boolean): void {
    if (!this.isOpen) return
    this.stage = 'command'
    this.#isIdle = true
    if (this.#reader.hasInput) this.#takeFarewell()
    if (mayRead) void this.watch()
  }

  /** Sends one command line. `shown` is what the trace gets. */
  command(line: string, shown: string = line): void | Promise<void> {
    this.show('client', shown)
    return this.write(encoder.encode(`${line}\r\n`))
  }

  /** Sends bytes. Returns a promise if the server has to take them first. Never fails. */
  write(bytes: Uint8Array): void | Promise<void> {
    if (this.failure !== undefined || this.isBroken || bytes.length === 0) return
    if (this.#writing !== undefined) return this.#writing.promise.then(() => this.write(bytes))
    let written: void | Promise<void>
    try {
      written = this.duplex.write(bytes)
    } catch {
      this.isBroken = true
      return
    }
    if (!(written instanceof Promise)) return
    const writing = Promise.withResolvers<void>()
    this.#writing = writing
    const timer = this.#timer(this.timeouts.blockMs, 'the server takes no bytes')
    const settle = (isBroken: boolean): void => {
      clearTimeout(timer)
      if (isBroken) this.isBroken = true
      if (this.#writing === writing) this.#writing = undefined
      writing.resolve()
    }
    written.then(
      () => settle(false),
      () => settle(true),
    )
    return writing.promise
  }

  /** Waits until the server has taken what was written. */
  written(): Promise<void> | undefined {
    return this.#writing?.promise
  }

  /** Waits for something else. Resolves with undefined as soon as the server sends something, or the channel fails. */
  async unlessInterrupted<T>(promise: Promise<T>): Promise<T | undefined> {
    void this.watch()
    if (this.isInterrupted) {
      promise.catch(() => {})
      return undefined
    }
    return new Promise((resolve, reject) => {
      this.#interrupt = () => resolve(undefined)
      promise.then(resolve, reject)
    })
  }

  /**
   * Reads the next reply.
   * @param ms The time for the whole reply
   * @throws ClientError
   */
  async reply(stage: ClientStage, ms: number): Promise<ServerReply> {
    this.stage = stage
    let timer: ReturnType<typeof setTimeout> | undefined
    try {
      for (;;) {
        if (this.failure !== undefined) throw this.failure
        const reply = this.#next()
        if (reply !== undefined) return reply
        if (this.isLeaving) throw this.#closed()
        timer ??= this.#timer(ms, `the server gave no whole reply in ${ms} ms`)
        await this.watch()
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Begins to read, if no read is pending. Resolves when there are bytes, or the channel has failed. */
  watch(): Promise<void> | undefined {
    if (this.#reading !== undefined || this.failure !== undefined || this.#reader.hasUnread) return this.#reading
    try {
      const bytes = this.duplex.read()
      if (!(bytes instanceof Promise)) return this.#take(bytes)
      this.#reading = bytes.then(
        (read) => {
          this.#reading = undefined
          this.#take(read)
        },
        (error: unknown) => {
          this.#reading = undefined
          this.#lose(error)
        },
      )
      return this.#reading
    } catch (error) {
      return this.#lose(error)
    }
  }

  /** Makes the connection TLS. @throws ClientError */
  async startTls(): Promise<TlsInfo> {
    this.assertReady('starttls')
    const { startTls } = this.duplex
    if (startTls === undefined) throw this.fail('tls', 'this connection cannot become TLS')
    const ms = this.timeouts.startTlsMs
    const timer = this.#timer(ms, `the TLS handshake took more than ${ms} ms`)
    let info: TlsInfo
    try {
      info = await startTls.call(this.duplex)
    } catch (error) {
      if (this.failure !== undefined) throw this.failure
      if (error instanceof EarlyBytesError)
        throw this.fail('protocol', 'the server sent bytes in clear behind its 220', error)
      throw this.fail('tls', `the TLS handshake failed: ${messageOf(error)}`, error)
    } finally {
      clearTimeout(timer)
    }
    // Replies that came in clear must not count any more.
    this.#reader = new ReplyReader(this.#limits)
    await this.verifyServer()
    return info
  }

  /** Lets the caller judge the server, if the connection is TLS. @throws ClientError */
  async verifyServer(): Promise<void> {
    const verify = this.#verifyServer
    const { tls, peerCertificates } = this.duplex
    if (verify === undefined || tls === undefined) return
    this.stage = 'starttls'
    const ms = this.timeouts.startTlsMs
    const timer = this.#timer(ms, `verifyServer took more than ${ms} ms`)
    try {
      await new Promise<void>((resolve, reject) => {
        this.#interrupt = () => {
          if (this.failure !== undefined) reject(this.failure)
        }
        const certificates = peerCertificates?.call(this.duplex) ?? []
        Promise.resolve(verify({ tls, certificates })).then(resolve, reject)
      })
      this.isAccepted = true
    } catch (error) {
      throw this.fail('tls', `the server was not accepted: ${messageOf(error)}`, error)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends the connection with an error, and returns the error. The first error stays. */
  fail(reason: ClientErrorReason, message: string, cause?: unknown): ClientError {
    return this.failure ?? this.failWith(new ClientError(message, { reason, stage: this.stage, cause }))
  }

  /** Ends the connection with this error, and returns it. */
  failWith(error: ClientError): ClientError {
    if (this.failure === undefined) {
      this.failure = error
      this.#destroy(error)
      this.#writing?.resolve()
      this.#interrupt?.()
    }
    return error
  }

  /** Closes after 421 or QUIT. Resolves when the connection is closed, which takes `quitMs` at most. Never rejects. */
  async leave(): Promise<void> {
    if (this.isLeaving || this.failure !== undefined) return
    this.isLeaving = true
    const timer = setTimeout(() => this.#destroy(), this.timeouts.quitMs)
    try {
      await this.duplex.end()
    } catch {
      this.#destroy()
    } finally {
      clearTimeout(timer)
    }
  }

  show(side: 'client' | 'server', text: string): void {
    try {
      this.#trace?.({ side, text })
    } catch (error) {
      this.fail('aborted', `trace failed: ${messageOf(error)}`, error)
    }
  }

  #next(): ServerReply | undefined {
    const next = this.#reader.next()
    if (next === undefined) return undefined
    if ('fault' in next) throw this.fail('protocol', next.fault)
    if (this.#trace !== undefined) this.#showReply(next)
    if (next.code === SERVICE_NOT_AVAILABLE) void this.leave()
    return next
  }

  #showReply({ code, enhancedCode, lines }: ServerReply): void {
    const lead = enhancedCode === '' ? '' : `${enhancedCode} `
    for (const [index, line] of lines.entries()) {
      this.show('server', `${code}${index === lines.length - 1 ? ' ' : '-'}${lead}${line}`)
    }
  }

  #take(bytes: Uint8Array | null): undefined {
    if (bytes === null) {
      if (this.isLeaving) return
      this.fail('closed', 'the server closed the connection')
      return
    }
    this.#reader.receive(bytes)
    if (this.#isIdle) this.#takeFarewell()
    this.#interrupt?.()
  }

  #lose(error: unknown): undefined {
    if (!this.isLeaving) this.fail('closed', `the connection broke: ${messageOf(error)}`, error)
  }

  /** Reads a reply that answers nothing. Only 421 may come so (RFC 5321 3.8). */
  #takeFarewell(): void {
    const next = this.#reader.next()
    if (next === undefined || this.failure !== undefined) return
    if ('fault' in next) {
      this.fail('protocol', next.fault)
    } else if (next.code === SERVICE_NOT_AVAILABLE) {
      if (this.#trace !== undefined) this.#showReply(next)
      this.#farewell = next
      void this.leave()
    } else {
      this.fail('protocol', `the server sent a reply to nothing: ${replyText(next)}`)
    }
  }

  #closed(): ClientError {
    const reply = this.#farewell
    const message =
      reply === undefined ? 'the connection is closed' : `the server closed the connection: ${replyText(reply)}`
    return new ClientError(message, { reason: 'closed', stage: this.stage, reply })
  }

  #timer(ms: number, message: string): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.fail('timeout', message), ms)
  }

  #destroy(reason?: Error): void {
    try {
      this.duplex.destroy(reason)
    } catch {
      // Somebody else's duplex: it can do no more harm.
    }
  }
}
