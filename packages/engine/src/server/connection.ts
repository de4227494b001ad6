/**
 * One connection, from the greeting to the close. It is the session that hooks see.
 *
 * It is one loop that takes events from the protocol. `commands.ts` handles the events. While a message arrives, the
 * loop waits for the `data` hook, and the hook's reads take the events instead: `transfer.ts`.
 */
import type { Duplex, Endpoint, TlsInfo } from '../duplex.ts'
import type { Envelope, ForwardedClient } from '../protocol/grammar/envelope.ts'
import * as replies from '../protocol/grammar/replies.ts'
import type { Hello } from '../protocol/server/event.ts'
import { handle } from './commands.ts'
import type { Context } from './context.ts'
import { Dialogue, type OpenSession } from './dialogue.ts'
import type { Verdict } from './handlers.ts'
import type { SessionOverrides } from './options.ts'
import type { Place } from './places/admission.ts'
import type { Occupying } from './places/occupants.ts'
import type { ReverseDns, TransmissionType } from './session/session.ts'
import { transmissionType } from './session/trace.ts'
import { isRefusal } from './verdict.ts'

/** What all connections of a server share. */
export interface ConnectionDeps extends Context {
  /** Called when a connection has ended. */
  over(connection: Connection): void
}

export class Connection implements OpenSession, Occupying {
  readonly id: string
  tls: TlsInfo | undefined
  user: string | undefined
  reverseDns: ReverseDns | undefined
  messagesAccepted = 0
  place: Place | undefined
  memberIndex: number = -1

  readonly #deps: ConnectionDeps
  readonly #dialogue: Dialogue
  #remote: Endpoint | undefined
  #local: Endpoint | undefined
  #notes: Map<unknown, unknown> | undefined
  #isShuttingDown = false
  /** The session waits for the client's next bytes. */
  #isReading = false

  constructor(deps: ConnectionDeps, duplex: Duplex, overrides: SessionOverrides) {
    this.id = deps.makeId(Date.now())
    this.tls = duplex.tls
    this.#deps = deps
    this.#dialogue = new Dialogue(deps, this, duplex, overrides)
  }

  // Session

  get remote(): Endpoint {
    return this.#remote ?? this.#dialogue.wire.duplex.remote
  }

  /** Set when a command of an extension named the client. */
  set remote(remote: Endpoint) {
    if (remote !== this.#remote) this.reverseDns = undefined
    this.#remote = remote
  }

  get local(): Endpoint {
    return this.#local ?? this.#dialogue.wire.duplex.local
  }

  set local(local: Endpoint) {
    this.#local = local
  }

  get hello(): Hello | undefined {
    return this.#dialogue.protocol.hello
  }

  get envelope(): Envelope | undefined {
    return this.#dialogue.protocol.envelope
  }

  get forwarded(): ForwardedClient | undefined {
    return this.#dialogue.protocol.forwarded
  }

  get transmissionType(): TransmissionType {
    return transmissionType(this, this.envelope?.smtpUtf8 ?? false)
  }

  get notes(): Map<unknown, unknown> {
    this.#notes ??= new Map()
    return this.#notes
  }

  get error(): unknown {
    return this.#dialogue.wire.error
  }

  get signal(): AbortSignal {
    return this.#dialogue.signal
  }

  // Lifetime

  /** Serves the connection, then tells the server that it is over. Never rejects. */
  async run(): Promise<void> {
    // Most sessions are idle most of the time. Each of them keeps the variables of this frame in memory.
    const dialogue = this.#dialogue
    const { wire } = dialogue
    try {
      if (await this.#greet()) {
        for (let wait = this.#goOn(); wait !== undefined; wait = this.#goOn()) {
          try {
            const bytes = await wait
            if (this.#isReading) wire.take(bytes as Uint8Array | null)
          } catch (error) {
            if (!this.#isReading) throw error
            wire.lose(error)
          }
        }
        // A client may delay its close, and must not hold a part of the server's allowance meanwhile.
        dialogue.protocol.release()
        if (!wire.isOver) await wire.hangUp()
      }
    } catch (error) {
      // This is a bug of the engine. Errors of the duplex and of hooks do not come here.
      this.#deps.report(error, this)
      wire.lose(error)
    }
    if (!wire.isOver) wire.setOver()
    const { options } = this.#deps
    if (options.close !== undefined) {
      const closed = dialogue.hooks.ask('close', () => options.close?.(this))
      if (!dialogue.isDestroyed) await closed
    }
    dialogue.waits.stop()
    dialogue.protocol.release()
    this.#deps.over(this)
  }

  /** Asks the session to end: at once if it is idle, or after the message in progress. */
  shutDown(): void {
    this.#isShuttingDown = true
    const dialogue = this.#dialogue
    if (dialogue.waits.isForBytes && dialogue.message === undefined) dialogue.sayLast(replies.SHUTTING_DOWN)
  }

  /**
   * Milliseconds for which the session has waited for a command. undefined if it is busy, or if its client has
   * authenticated.
   */
  get idleMs(): number | undefined {
    const { message, waits, wire } = this.#dialogue
    return this.user === undefined && message === undefined && !wire.isOver ? waits.idleMs : undefined
  }

  /** Ends an idle session, because a newcomer has its place. */
  displace(): void {
    this.#dialogue.sayLast(replies.IDLE_WHEN_FULL)
  }

  /** Ends the session now. */
  destroy(): void {
    this.#dialogue.destroy()
  }

  async #greet(): Promise<boolean> {
    const { options } = this.#deps
    const { hooks, protocol, wire, words } = this.#dialogue
    const { greetingDelayMs = 0 } = options
    const { tls } = this
    let verdict: Verdict
    if (tls !== undefined && options.secure) verdict = await hooks.ask('secure', () => options.secure?.(tls, this))
    if (!isRefusal(verdict) && options.connect) verdict = await hooks.ask('connect', () => options.connect?.(this))
    if (!isRefusal(verdict) && greetingDelayMs > 0) {
      // A client that sends before the greeting is rarely a mail server.
      verdict = (await wire.listenQuietly(greetingDelayMs)) ? undefined : replies.TOO_EARLY
    }
    if (!isRefusal(verdict)) {
      protocol.say(words.greeting)
      return !wire.isOver
    }
    // In place of a greeting, 421 is the only reply that means "not now" (RFC 5321 4.3.2).
    const refusal = verdict === replies.LOCAL_ERROR ? replies.NOT_AVAILABLE : verdict
    protocol.say(refusal)
    this.#dialogue.tellRefusal(refusal, verdict !== replies.TOO_EARLY)
    await wire.hangUp()
    return false
  }

  /** Handles events as long as that needs no wait. Returns what the session then waits for; undefined at its end. */
  #goOn(): Promise<unknown> | undefined {
    const dialogue = this.#dialogue
    const { protocol, wire } = dialogue
    this.#isReading = false
    while (!wire.isOver) {
      const event = protocol.next()
      if (event.type === 'end' || event.type === 'close') return undefined
      if (event.type !== 'need-data') {
        const handled = dialogue.inTurn(handle(dialogue, event))
        if (handled !== undefined) return handled
        continue
      }
      if (this.#isShuttingDown) {
        protocol.say(replies.SHUTTING_DOWN)
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
          dialogue.endTurn()
          return bytes
        }
        wire.take(bytes)
      } catch (error) {
        wire.lose(error)
      }
    }
    return undefined
  }
}
