/**
 * What the parts of a connection share: its protocol, its wire and its hooks. It passes answers from one part to
 * another.
 */
import type { Duplex } from '../duplex.ts'
import type { ConnectionFact } from '../protocol/extensions/extension.ts'
import type { ForwardPath } from '../protocol/grammar/envelope.ts'
import * as replies from '../protocol/grammar/replies.ts'
import { printable, type Reply } from '../protocol/grammar/reply.ts'
import { ServerProtocol } from '../protocol/server/server-protocol.ts'
import type { Exchange } from '../sasl/mechanism.ts'
import type { Context, Words } from './context.ts'
import type { Wait } from './deadlines.ts'
import type { EndedExchange, Verdict } from './handlers.ts'
import { Hooks } from './hooks.ts'
import type { ServerOptions, SessionOverrides } from './options.ts'
import type { IncomingMessage } from './session/incoming.ts'
import type { Session } from './session/session.ts'
import { Turn } from './session/turn.ts'
import { enhanced, isRefusal } from './verdict.ts'
import { Waits, type WaitsOwner } from './waits.ts'
import { Wire, type WireOwner } from './wire.ts'

/** A session that the parts of its connection can change. */
export interface OpenSession extends Session {
  remote: Session['remote']
  local: Session['local']
  tls: Session['tls']
  user: Session['user']
  messagesAccepted: number
}

/** An AUTH exchange in progress. */
export interface OpenExchange {
  readonly mechanism: string
  readonly exchange: Exchange
  challengeCount: number
}

export class Dialogue implements WireOwner, WaitsOwner {
  readonly context: Context
  readonly session: OpenSession
  readonly protocol: ServerProtocol
  readonly waits: Waits
  readonly wire: Wire
  readonly hooks: Hooks
  /** The message that is arriving. */
  message: IncomingMessage | undefined
  /** The AUTH exchange in progress. */
  exchange: OpenExchange | undefined
  /** The `secure` hook's refusal. It answers the next command, because a server may not speak right after a handshake. */
  refuseNext: Reply | undefined
  isDestroyed = false

  readonly #turn: Turn = new Turn()
  #abort: AbortController | undefined

  constructor(context: Context, session: OpenSession, duplex: Duplex, overrides: SessionOverrides) {
    const { limits, options } = context
    this.context = context
    this.session = session
    this.protocol = new ServerProtocol(context.protocol, {
      isSecure: duplex.tls !== undefined,
      facts: factsOf(duplex),
      canStartTls: duplex.tls === undefined && duplex.startTls !== undefined && overrides.startTls !== false,
      tlsRequired: overrides.tlsRequired ?? options.tls?.required ?? false,
      authRequired: overrides.authRequired ?? options.auth?.required ?? false,
      isAuthOff: overrides.auth === false,
      isLmtp: overrides.protocol === 'lmtp',
      client: session,
      maxMessageBytes: overrides.maxMessageBytes,
      addresses: overrides.addresses,
      observe: observer(options, session, 'client'),
    })
    this.waits = new Waits(limits, this.protocol, this)
    this.wire = new Wire(duplex, this.protocol, this.waits, observer(options, session, 'server'), this)
    this.hooks = new Hooks(this.wire, this.waits, context, session)
  }

  get words(): Words {
    return this.protocol.isLmtp ? this.context.lmtp : this.context.smtp
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      const abort = new AbortController()
      this.#abort = abort
      if (this.wire.isOver) abort.abort()
      // A hook may wait for long, and meanwhile nobody reads.
      else this.wire.duplex.whenClosed?.(() => abort.abort())
    }
    return this.#abort.signal
  }

  /**
   * Gives the protocol a hook's answer to the pending event.
   * @param byDefault The answer if the hook has none
   */
  answer(
    verdict: Verdict | Promise<Verdict>,
    byDefault: Reply,
    isByHook: boolean = verdict !== undefined,
  ): void | Promise<void> {
    if (verdict instanceof Promise) return verdict.then((later) => this.answer(later, byDefault))
    const said = this.protocol.answer(verdict === undefined ? byDefault : enhanced(verdict))
    if (said.code >= 400) this.tellRefusal(said, isByHook, this.protocol.verb)
    return this.wire.flushIfLong()
  }

  /**
   * Gives the protocol the answers to a message.
   * @param each In LMTP, the reply for each recipient, in their order
   * @param decisive The one of them that decides whether the message is accepted
   * @param recipients Those recipients
   */
  answerEach(each: readonly Reply[], decisive: Reply, recipients: readonly ForwardPath[]): void | Promise<void> {
    const { verb } = this.protocol
    const said = this.protocol.answer(decisive, each.map(enhanced))
    if (said !== decisive) this.tellRefusal(said, false, verb)
    else each.forEach((one, i) => isRefusal(one) && this.tellRefusal(enhanced(one), true, verb, recipients[i]))
    return this.wire.flushIfLong()
  }

  /** Ends the AUTH exchange in progress, if there is one. */
  endExchange(outcome: EndedExchange['outcome'], user?: string): void {
    const { context, exchange, session } = this
    if (exchange === undefined) return
    this.exchange = undefined
    context.exchangeEnded({ mechanism: exchange.mechanism, outcome, ...(user !== undefined && { user }) }, session)
  }

  /**
   * Calls the `refused` hook.
   * @param verb Default: ''
   * @param forwardPath The one recipient of a message who is refused
   */
  tellRefusal(reply: Reply, byHook: boolean, verb: string = '', forwardPath?: ForwardPath): void {
    const { remote } = this.session
    this.context.refused({ verb, reply, remote, byHook, ...(forwardPath && { forwardPath }) }, this.session)
  }

  /** Ends a command. If the session's turn is over, other sessions run before it goes on. */
  inTurn(handled: void | Promise<void>): void | Promise<void> {
    const others = this.#turn.count()
    if (others === undefined) return handled
    return handled === undefined ? others : handled.then(() => others)
  }

  /** Ends the turn, because the session waits for its client and other sessions run meanwhile. */
  endTurn(): void {
    this.#turn.end()
  }

  /** Ends a wait for bytes with a last reply. */
  sayLast(last: Reply, why: 'aborted' | 'timeout' = 'aborted'): void {
    this.protocol.sayLast(last)
    this.wire.endWait(why)
  }

  /** Ends everything now. A hook that waits for bytes gets an error, and has a moment to clean up. */
  destroy(): void {
    this.isDestroyed = true
    this.wire.destroy()
    this.waits.destroyed()
  }

  /** Marks the message as failed if it is not whole, because nothing more will be read. */
  wireOver(why: 'aborted' | 'timeout'): void {
    if (why === 'timeout') this.tellRefusal(replies.TIMED_OUT, false, this.message && this.protocol.verb)
    this.#abort?.abort()
    this.endExchange('given-up')
    if (this.message === undefined) this.protocol.release()
    else if (!this.message.isWhole) this.message.fail(why)
  }

  /** Called by the timer. */
  timeUp(waited: Wait | 'last-moment', isSessionOver: boolean): void {
    switch (waited) {
      case 'bytes':
        return this.sayLast(replies.TIMED_OUT, 'timeout')
      case 'hook':
        return this.hooks.giveUp(isSessionOver ? replies.TIMED_OUT : undefined)
      case 'last-moment':
        return this.hooks.giveUpAll(replies.SHUTTING_DOWN)
      case 'peer':
        return this.wire.lose(new Error('timed out: the client does not read its replies'), 'timeout')
      case 'handshake':
        return this.wire.lose(new Error(`no TLS handshake within ${this.context.limits.tlsHandshakeTimeoutMs} ms`))
    }
  }
}

const NO_FACTS: readonly ConnectionFact[] = []

/** Returns what a connection has that some mechanisms need. */
export function factsOf({ channelBinding, tls }: Duplex): readonly ConnectionFact[] {
  if (tls === undefined) return NO_FACTS
  const facts: ConnectionFact[] = tls.peerCertificate?.verified === true ? ['certificate'] : []
  if (channelBinding !== undefined) facts.push('channel-binding')
  return facts
}

/** Returns a function that gets the lines of one side; undefined if nobody wants them. */
function observer(
  { trace }: ServerOptions,
  session: Session,
  from: 'client' | 'server',
): ((text: string) => void) | undefined {
  if (trace === undefined) return undefined
  return (text) => trace({ sessionId: session.id, from, remote: session.remote, text: printable(text, Infinity) })
}
