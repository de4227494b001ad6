/**
 * One connection, from the greeting to the close: the protocol's events, and the hooks that answer them.
 *
 * It is one loop that takes events from the protocol. While a message arrives, the loop waits for the `data` hook, and the
 * hook's reads take the events instead; so bytes move only when somebody wants them, and nothing is queued. Whatever
 * answers at once costs no promise: a function here returns one only where there is something to wait for.
 */
import { type Duplex, EarlyBytesError, type Endpoint, type TlsInfo } from '../duplex.ts'
import type { Envelope } from '../protocol/grammar/envelope.ts'
import type { Hello, ServerEvent } from '../protocol/server/event.ts'
import * as replies from '../protocol/grammar/replies.ts'
import { type Reply, isReply, printable, replyAsIs } from '../protocol/grammar/reply.ts'
import type { Credentials } from '../protocol/sasl.ts'
import { ServerProtocol } from '../protocol/server/server-protocol.ts'
import type { Context } from './context.ts'
import type { Verdict } from './handlers.ts'
import { ArrivalError } from './places/arrivals.ts'
import { IncomingMessage, type MessageSource } from './session/incoming.ts'
import { MessageError } from './session/message.ts'
import type { ServerOptions, SessionOverrides } from './options.ts'
import type { Session, TransmissionType } from './session/session.ts'
import { receivedField, transmissionType } from './session/trace.ts'
import { Hooks } from './hooks.ts'
import { enhanced, isPromiseLike, isRefusal } from './verdict.ts'
import { Turn } from './session/turn.ts'
import type { Wait } from './deadlines.ts'
import { Waits, type WaitsOwner } from './waits.ts'
import { Wire, type WireOwner } from './wire.ts'

/** What all connections of a server share. */
export interface ConnectionDeps extends Context {
  /** A connection has ended. */
  over(connection: Connection): void
}

export class Connection implements Session, MessageSource, WireOwner, WaitsOwner {
  readonly id: string
  tls: TlsInfo | undefined
  user: string | undefined
  messagesAccepted = 0

  readonly #context: ConnectionDeps
  readonly #protocol: ServerProtocol
  readonly #waits: Waits
  readonly #wire: Wire
  readonly #hooks: Hooks
  readonly #turn: Turn = new Turn()
  #notes: Map<unknown, unknown> | undefined
  #abort: AbortController | undefined
  #isShuttingDown = false
  #isDestroyed = false
  #message: IncomingMessage | undefined
  /** The `data` hook's refusal, once it has one, while its message still arrives. */
  #messageRefusal: Reply | undefined
  /** The session waits for the client's next bytes. */
  #isReading = false
  /** The `secure` hook's refusal, for the next command: nobody may speak right after a handshake. */
  #refuseNext: Reply | undefined

  constructor(context: ConnectionDeps, duplex: Duplex, overrides: SessionOverrides) {
    const { limits, options } = context
    this.id = context.makeId(Date.now())
    this.tls = duplex.tls
    this.#context = context
    this.#protocol = new ServerProtocol(context.protocol, {
      isSecure: duplex.tls !== undefined,
      canStartTls: duplex.tls === undefined && duplex.startTls !== undefined,
      tlsRequired: overrides.tlsRequired ?? options.tls?.required ?? false,
      authRequired: overrides.authRequired ?? options.auth?.required ?? false,
      addresses: overrides.addresses,
      observe: observer(options, this.id, 'client'),
    })
    this.#waits = new Waits(limits, this.#protocol, this)
    this.#wire = new Wire(duplex, this.#protocol, this.#waits, observer(options, this.id, 'server'), this)
    this.#hooks = new Hooks(this.#wire, this.#waits, context, this)
  }

  // Session

  get remote(): Endpoint {
    return this.#wire.duplex.remote
  }

  get local(): Endpoint {
    return this.#wire.duplex.local
  }

  get hello(): Hello | undefined {
    return this.#protocol.hello
  }

  get envelope(): Envelope | undefined {
    return this.#protocol.envelope
  }

  get transmissionType(): TransmissionType {
    return transmissionType(this, this.envelope?.smtpUtf8 ?? false)
  }

  get notes(): Map<unknown, unknown> {
    this.#notes ??= new Map()
    return this.#notes
  }

  get error(): unknown {
    return this.#wire.error
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#wire.isOver) this.#abort.abort()
    return this.#abort.signal
  }

  /** Nothing more will be read: a message that is not whole never will be. */
  wireOver(why: 'aborted' | 'timeout'): void {
    if (why === 'timeout') this.#tellRefusal(replies.TIMED_OUT, false, this.#message && this.#protocol.verb)
    this.#abort?.abort()
    if (this.#message === undefined) this.#protocol.release()
    else if (!this.#message.isWhole) this.#message.fail(why)
  }

  // The whole of it

  /** Serves the connection, then tells the server that it is over. Never rejects. */
  async run(): Promise<void> {
    const { options, report } = this.#context
    const wire = this.#wire
    try {
      if (await this.#greet()) {
        // Most sessions are idle most of the time: what this frame holds, each of them holds.
        for (let wait = this.#goOn(); wait !== undefined; wait = this.#goOn()) {
          try {
            const bytes = await wait
            if (this.#isReading) wire.take(bytes as Uint8Array | null)
          } catch (error) {
            if (!this.#isReading) throw error
            wire.lose(error)
          }
        }
        // A client that does not close for a while must not hold a part of the server's allowance.
        this.#protocol.release()
        if (!wire.isOver) await wire.hangUp()
      }
    } catch (error) {
      // Ours, not the client's: what breaks in the duplex or in a hook does not come here.
      report(error, this)
      wire.lose(error)
    }
    if (!wire.isOver) wire.setOver()
    if (options.close !== undefined) {
      const closed = this.#hooks.ask(() => options.close?.(this))
      if (!this.#isDestroyed) await closed
    }
    this.#waits.stop()
    this.#protocol.release()
    this.#context.over(this)
  }

  /** Asks the session to end: at once where it is idle, after its message where one is in progress. */
  shutDown(): void {
    this.#isShuttingDown = true
    if (this.#waits.isForBytes && this.#message === undefined) this.#sayLast(replies.SHUTTING_DOWN)
  }

  /** How long the session has waited for a command. undefined if it is busy, or its client has authenticated. */
  get idleMs(): number | undefined {
    const isBusy = this.user !== undefined || this.#message !== undefined || this.#wire.isOver
    return isBusy ? undefined : this.#waits.idleMs
  }

  /** Ends a session that is idle, because a newcomer has its place. */
  displace(): void {
    this.#sayLast(replies.IDLE_WHEN_FULL)
  }

  /** Ends the session now. A hook that waits for bytes hears of it, and has a moment to clean up. */
  destroy(): void {
    this.#isDestroyed = true
    this.#wire.destroy()
    this.#waits.destroyed()
  }

  /** Called by the timer. */
  timeUp(waited: Wait | 'last-moment', isSessionOver: boolean): void {
    switch (waited) {
      case 'bytes':
        return this.#sayLast(replies.TIMED_OUT, 'timeout')
      case 'hook':
        return this.#hooks.giveUp(isSessionOver ? replies.TIMED_OUT : undefined)
      case 'last-moment':
        return this.#hooks.giveUpAll(replies.SHUTTING_DOWN)
      case 'peer':
        return this.#wire.lose(new Error('timed out: the client takes no replies'), 'timeout')
      case 'handshake':
        return this.#wire.lose(new Error(`no TLS handshake within ${this.#context.limits.tlsHandshakeTimeoutMs} ms`))
    }
  }

  /** Ends a wait for bytes with a last reply. */
  #sayLast(last: Reply, why: 'aborted' | 'timeout' = 'aborted'): void {
    this.#protocol.say(last)
    this.#wire.endWait(why)
  }

  async #greet(): Promise<boolean> {
    const { options, greeting } = this.#context
    const { greetingDelayMs = 0 } = options
    const { tls } = this
    let verdict: Verdict
    if (tls !== undefined && options.secure) verdict = await this.#hooks.ask(() => options.secure?.(tls, this))
    if (!isRefusal(verdict) && options.connect) verdict = await this.#hooks.ask(() => options.connect?.(this))
    if (!isRefusal(verdict) && greetingDelayMs > 0) {
      // A client that cannot wait for its turn is rarely a mail server.
      verdict = (await this.#wire.listenQuietly(greetingDelayMs)) ? undefined : replies.TOO_EARLY
    }
    if (!isRefusal(verdict)) {
      this.#protocol.say(greeting)
      return !this.#wire.isOver
    }
    // In place of a greeting, only 421 says «not now» (RFC 5321 4.3.2).
    const refusal = verdict === replies.LOCAL_ERROR ? replies.NOT_AVAILABLE : verdict
    this.#protocol.say(refusal)
    this.#tellRefusal(refusal, verdict !== replies.TOO_EARLY)
    await this.#wire.hangUp()
    return false
  }

  /** Does what can be done at once. What the session then waits for; undefined at its end. */
  #goOn(): Promise<unknown> | undefined {
    const wire = this.#wire
    this.#isReading = false
    while (!wire.isOver) {
      const event = this.#protocol.next()
      if (event.type === 'end' || event.type === 'close') return undefined
      if (event.type !== 'need-data') {
        const handled = this.#inTurn(this.#handle(event))
        if (handled !== undefined) return handled
        continue
      }
      if (this.#isShuttingDown) {
        this.#protocol.say(replies.SHUTTING_DOWN)
        return undefined
      }
      // The server may begin to stop while the client takes its replies.
      const flushed = wire.flush()
      if (flushed !== undefined) return flushed
      if (wire.isOver) return undefined
      try {
        const bytes = wire.read()
        if (bytes instanceof Promise) {
          this.#isReading = true
          this.#turn.end()
          return bytes
        }
        wire.take(bytes)
      } catch (error) {
        wire.lose(error)
      }
    }
    return undefined
  }

  /** Ends a command: where the session has had its turn, others have theirs before it goes on. */
  #inTurn(handled: void | Promise<void>): void | Promise<void> {
    const others = this.#turn.count()
    if (others === undefined) return handled
    return handled === undefined ? others : handled.then(() => others)
  }

  #handle(event: ServerEvent): void | Promise<void> {
    if (this.#refuseNext !== undefined) return this.#refuseAll(this.#refuseNext)
    const { options } = this.#context
    switch (event.type) {
      case 'violation':
        this.#tellRefusal(event.reply, false, this.#protocol.verb)
        return this.#wire.flushIfLong()
      case 'hello':
        return this.#hello(event.hello)
      case 'mail': {
        const verdict = options.mail && this.#hooks.ask(() => options.mail?.(event.reversePath, this))
        return this.#answer(verdict, replies.SENDER_OK)
      }
      case 'rcpt': {
        const verdict = options.rcpt && this.#hooks.ask(() => options.rcpt?.(event.forwardPath, this))
        return this.#answer(verdict, replies.RECIPIENT_OK)
      }
      case 'credentials':
        return this.#authenticate(event.credentials)
      case 'command':
        return this.#command(event.verb, event.argument)
      case 'message':
        return this.#receiveMessage()
      default:
        throw new Error(`'${event.type}' outside a message`)
    }
  }

  // Commands

  #answer(
    verdict: Verdict | Promise<Verdict>,
    byDefault: Reply,
    isByHook: boolean = verdict !== undefined,
  ): void | Promise<void> {
    if (verdict instanceof Promise) return verdict.then((later) => this.#answer(later, byDefault))
    const said = this.#protocol.answer(verdict === undefined ? byDefault : enhanced(verdict))
    if (said.code >= 400) this.#tellRefusal(said, isByHook, this.#protocol.verb)
    return this.#wire.flushIfLong()
  }

  /** Tells the `refused` hook. @param verb Default: none */
  #tellRefusal(reply: Reply, byHook: boolean, verb: string = ''): void {
    this.#context.refused({ verb, reply, remote: this.remote, byHook }, this)
  }

  #hello(hello: Hello): void | Promise<void> {
    const { options } = this.#context
    const verdict = options.hello && this.#hooks.ask(() => options.hello?.(hello, this))
    const then = (answered: Verdict): void | Promise<void> => {
      if (isRefusal(answered)) return this.#answer(answered, answered)
      const accepted = this.#protocol.helloReply(hello)
      return this.#giveUpTransaction(() => this.#answer(undefined, accepted))
    }
    return verdict instanceof Promise ? verdict.then(then) : then(verdict)
  }

  #command(verb: string, argument: string): void | Promise<void> {
    const { options, commands, help } = this.#context
    const ask = (hook: () => Verdict | Promise<Verdict>, byDefault: Reply): void | Promise<void> =>
      this.#answer(this.#hooks.ask(hook), byDefault)
    switch (verb) {
      case 'NOOP':
        return this.#answer(undefined, replies.OK)
      case 'RSET':
        return this.#giveUpTransaction(() => this.#answer(undefined, replies.OK))
      case 'QUIT':
        return this.#answer(undefined, replies.GOODBYE)
      case 'HELP':
        return this.#answer(undefined, help)
      case 'VRFY':
        return ask(() => options.verify?.(argument, this), replies.CANNOT_VERIFY)
      case 'EXPN':
        return ask(() => options.expand?.(argument, this), replies.COMMAND_OFF)
      case 'STARTTLS':
        return this.#startTls()
      default:
        return ask(() => commands.get(verb)?.(argument, this), replies.OK)
    }
  }

  /** Tells `reset` where there was a transaction, then goes on. */
  #giveUpTransaction(then: () => void | Promise<void>): void | Promise<void> {
    const { options } = this.#context
    if (options.reset === undefined || this.envelope === undefined) return then()
    const told = this.#hooks.ask(() => options.reset?.(this))
    return told instanceof Promise ? told.then(then) : then()
  }

  async #authenticate(credentials: Credentials): Promise<void> {
    let refusal: Reply
    try {
      const asked = this.#context.options.auth?.authenticate(credentials, this)
      const answer: unknown = isPromiseLike(asked) ? await this.#hooks.bounded(asked, replies.AUTH_UNAVAILABLE) : asked
      const user = (answer as { readonly user?: unknown } | null | undefined)?.user
      // Only a name lets anyone in: neither a reply, whatever its code, nor an answer that was not meant to be one.
      if (typeof user === 'string' && user !== '') {
        this.user = user
        return await this.#answer(undefined, replies.AUTHENTICATED)
      }
      if (answer !== undefined && !isReply(answer)) {
        throw new TypeError('authenticate answers with { user }, a Reply or nothing')
      }
      refusal = isRefusal(answer) ? answer : replies.BAD_CREDENTIALS
    } catch (error) {
      refusal = this.#hooks.mishap(error, replies.AUTH_UNAVAILABLE)
    }
    return this.#answer(refusal, refusal)
  }

  async #startTls(): Promise<void> {
    const wire = this.#wire
    const { options } = this.#context
    // Replies to what came before go out first, so that nothing is awaited between 220 and the handshake.
    await wire.flush()
    if (wire.isOver) return
    this.#protocol.answer(replies.READY_FOR_TLS)
    const flushed = wire.flush()
    const earlyOctets = this.#protocol.unreadOctets
    if (earlyOctets > 0) {
      await flushed
      wire.error = new EarlyBytesError(earlyOctets)
      this.#tellHandshakeFailure()
      return wire.hangUp()
    }
    const tls = await wire.startTls()
    if (tls === undefined) return this.#tellHandshakeFailure()
    this.tls = tls
    this.user = undefined
    this.#protocol.secured()
    const verdict = await this.#hooks.ask(() => options.secure?.(tls, this))
    if (isRefusal(verdict)) this.#refuseNext = verdict
  }

  /** Says why there is no TLS. What the server's own end brings about is no news. */
  #tellHandshakeFailure(): void {
    if (this.#isDestroyed) return
    this.#context.report(new ArrivalError('tls-handshake', this.remote, this.#wire.error), this)
  }

  #refuseAll(refusal: Reply): Promise<void> {
    // Whatever the protocol had to say of the command is not said.
    this.#protocol.takeReplies()
    this.#protocol.say(refusal)
    this.#tellRefusal(refusal, true)
    return this.#wire.hangUp()
  }

  // Messages

  async #receiveMessage(): Promise<void> {
    const { options, makeId } = this.#context
    const { envelope } = this
    if (options.data === undefined || envelope === undefined) {
      return this.#answer(undefined, replies.NOT_ACCEPTING_MESSAGES)
    }
    const receivedAt = new Date()
    const id = makeId(receivedAt.getTime())
    const message = new IncomingMessage(this, id, envelope, receivedAt, () =>
      receivedField(this, envelope, options.hostname, id, receivedAt),
    )
    this.#message = message
    this.#messageRefusal = undefined
    this.#waits.beginMessage()
    this.#protocol.begin()
    // The client may be waiting for 354, and the hook for something else than the client.
    const flushed = this.#protocol.unreadOctets === 0 ? this.#wire.flush() : undefined
    if (flushed !== undefined) await flushed

    const asked = this.#hooks.ask(() => options.data?.(message, this))
    const verdict = (asked instanceof Promise ? await asked : asked) ?? replyAsIs(250, '2.0.0', `OK ${id}`)
    if (isRefusal(verdict)) this.#messageRefusal = verdict
    const lastRead = message.detach()
    if (lastRead !== undefined) await lastRead
    if (!message.isOver) await this.#readAway(message)
    this.#message = undefined
    if (!message.isWhole || this.#wire.isOver) return
    const final = message.error?.reply ?? verdict
    if (!isRefusal(final)) this.messagesAccepted++
    const answered = this.#answer(final, final, message.error === undefined)
    if (answered !== undefined) await answered
  }

  /** Sends the replies so far where the message's hook is waited for, which may take its time. */
  #flushForHook(): void {
    if (this.#waits.isHookAwaited) this.#wire.flushForHook()
  }

  /** Reads what the hook has left, up to the message's end or to what ends it sooner. */
  async #readAway(message: IncomingMessage): Promise<void> {
    while (!message.isOver && !this.#wire.isOver) {
      try {
        const bytes = this.pull(message, () => null)
        if (bytes instanceof Promise) await bytes
      } catch (error) {
        if (!(error instanceof MessageError)) throw error
      }
    }
  }

  /** The message's next bytes; where they are not here yet, what `goOn` makes of it once something is. */
  pull<T>(message: IncomingMessage, goOn: () => T | Promise<T>): Uint8Array | null | Promise<T> {
    if (message !== this.#message || message.isOver) throw message.fail('aborted')
    for (;;) {
      // Between two chunks a client may give the message up, or the hook's refusal may have ended it.
      if (!this.#protocol.isInMessage || this.#wire.isOver) {
        message.isOver = true
        throw message.fail('aborted')
      }
      const event = this.#protocol.next()
      switch (event.type) {
        case 'need-data': {
          const filled = this.#wire.fill(goOn)
          if (filled === undefined) break
          this.#turn.end()
          return filled
        }
        case 'chunk':
          this.#waits.rest()
          this.#flushForHook()
          return event.bytes
        case 'message-end':
          message.isWhole = true
          message.isOver = true
          this.#flushForHook()
          return null
        case 'message-failed':
          this.#flushForHook()
          throw message.fail(event.reason, event.reply)
        case 'end':
        case 'close':
          message.isOver = true
          throw message.fail('aborted')
        default: {
          const handled =
            event.type === 'chunk-end' ? this.#answer(this.#messageRefusal, replies.CHUNK_OK) : this.#handle(event)
          const inTurn = this.#inTurn(handled)
          if (inTurn !== undefined) return inTurn.then(goOn)
        }
      }
    }
  }
}

/** Who sees the lines of one side; undefined where nobody wants to. */
function observer(
  { trace }: ServerOptions,
  sessionId: string,
  from: 'client' | 'server',
): ((text: string) => void) | undefined {
  return trace && ((text) => trace({ sessionId, from, text: printable(text, Infinity) }))
}
