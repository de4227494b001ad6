/**
 * The server's side of SMTP, without I/O: it takes bytes, and gives events and replies.
 * The driver calls `next` until it returns 'need-data', sends what `takeReplies` returns, and calls `receive`. If an event asks
 * for an answer, the driver answers before it calls `next` again.
 * The protocol decides whether a client may send a command. The driver's answer decides whether it succeeds. `state.ts` has all
 * moves between states.
 */
import { KIND, trimEnd } from '../bytes/ascii.ts'
import { encodeBase64 } from '../bytes/base64.ts'
import { Input } from '../bytes/input.ts'
import type { ConnectionFact, ExtensionContext } from '../extensions/extension.ts'
import { LineReader } from '../framing/lines.ts'
import { isHttpRequest, tidied } from '../grammar/command.ts'
import type { ForwardedClient } from '../grammar/envelope.ts'
import * as replies from '../grammar/replies.ts'
import { type Reply, isReply, joinReplies, reply, replyAsIs } from '../grammar/reply.ts'
import type { Limits } from '../limits.ts'
import { type AuthRules, readResponse, redacted } from './auth.ts'
import { Budgets } from './budgets.ts'
import type { KnownVerb, Settle, VerbSession } from './entry.ts'
import type { Hello, ServerEvent } from './event.ts'
import { MessageReader } from './message-reader.ts'
import type { ProtocolOptions, SessionPolicy } from './policy.ts'
import {
  AFTER_AUTH,
  AFTER_CHUNK,
  AFTER_MESSAGE,
  AFTER_TLS,
  type CommandState,
  type Move,
  NO_RECIPIENTS,
  NO_RECIPIENTS_LMTP,
  type State,
} from './state.ts'
import type { OpenEnvelope, TransactionRules } from './transaction.ts'
import { askAuth, settleMessageEnd, settleTransaction } from './verbs.ts'

const NEED_DATA: ServerEvent = { type: 'need-data' }
const END: ServerEvent = { type: 'end' }
const CLOSE: ServerEvent = { type: 'close' }
const CHUNK_END: ServerEvent = { type: 'chunk-end' }
const MESSAGE_END: ServerEvent = { type: 'message-end' }

/** Every session without waiting replies has this list. Nothing is ever added to it. */
const NO_REPLIES: Reply[] = []

/** The first octet of a TLS record that holds a handshake (RFC 8446 5.1). No command begins with it. */
const TLS_HANDSHAKE = 0x16
const END_OF_MESSAGE: Move = { accepted: AFTER_MESSAGE, refused: AFTER_MESSAGE }

/** A refused chunk: its octets are read and dropped, then the client gets the answer. */
interface Skip {
  octetsLeft: number
  readonly answer: Reply
  /** How often the answer is sent. */
  readonly count: number
}

export class ServerProtocol implements VerbSession {
  readonly limits: Limits
  readonly rules: TransactionRules
  readonly budgets: Budgets
  isSecure: boolean
  canStartTls: boolean
  facts: readonly ConnectionFact[]
  isAuthenticated = false
  readonly isAuthOff: boolean
  readonly isLmtp: boolean
  /** The name that the client gave since the connection or the TLS handshake. */
  hello: Hello | undefined
  /** The transaction in progress, or the one that a MAIL proposes while its answer is pending. */
  envelope: OpenEnvelope | undefined
  /** The first client, if a trusted one named it for the next transaction (XFORWARD). */
  forwarded: ForwardedClient | undefined
  isBehindRefusal = false
  chunkOctets = 0
  /** Command lines and responses so far, accepted or not. */
  linesRead = 0
  /** The verb of the last command, in upper case. '' if the line was not a command, or if the server does not know the verb. */
  verb = ''

  readonly #options: ProtocolOptions
  readonly #tlsRequired: boolean
  readonly #authRequired: boolean
  readonly #client: SessionPolicy['client']
  readonly #observe: SessionPolicy['observe']
  readonly #input: Input = new Input()
  readonly #lines: LineReader
  #state: State = 'start'
  /** The event that waits for its answer, where each answer leads, and what it changes. */
  #pending: ServerEvent | undefined
  #move: Move | undefined
  #settle: Settle | undefined
  /** Replies that are not taken yet. */
  #replies: Reply[] = NO_REPLIES
  #waitingOctets = 0

  #message: MessageReader | undefined
  #isLastChunk = false
  #skip: Skip | undefined

  constructor(options: ProtocolOptions, policy: SessionPolicy) {
    const { maxMessageBytes } = policy
    this.limits = maxMessageBytes === undefined ? options.limits : { ...options.limits, maxMessageBytes }
    this.isSecure = policy.isSecure
    this.canStartTls = policy.canStartTls
    this.facts = policy.facts
    this.#options = options
    // Copies the fields. Otherwise each of many waiting sessions would keep a policy object in memory.
    this.#tlsRequired = policy.tlsRequired
    this.#authRequired = policy.authRequired
    this.#client = policy.client
    this.isAuthOff = policy.isAuthOff
    this.isLmtp = policy.isLmtp
    this.#observe = policy.observe
    const { addresses = options.addresses } = policy
    this.rules = addresses === options.addresses ? options : { addresses, extensions: options.extensions }
    this.budgets = new Budgets(options.limits, options.envelopes)
    const { maxAuthLineOctets } = options.limits
    const { maxLineOctets } = options.gate
    const hasAuth = options.mechanisms.size > 0
    this.#lines = new LineReader(maxLineOctets, hasAuth ? Math.max(maxAuthLineOctets, maxLineOctets) : maxLineOctets)
  }

  get state(): State {
    return this.#state
  }

  get nowMs(): number {
    return this.#options.now()
  }

  get remote(): ExtensionContext['remote'] {
    return this.#client.remote
  }

  get isTlsMissing(): boolean {
    return this.#tlsRequired && !this.isSecure
  }

  get isAuthMissing(): boolean {
    return this.#authRequired && !this.isAuthenticated
  }

  /** True if a command has begun and not ended. */
  get isInLine(): boolean {
    return this.#lines.isInLine || this.#skip !== undefined
  }

  /** True if a message has begun and not ended. */
  get isInMessage(): boolean {
    return this.#state === 'data' || this.#state === 'chunk' || this.#state === 'bdat'
  }

  /** Octets received that no event has used up. */
  get unreadOctets(): number {
    return this.#input.bytes.length - this.#input.position + (this.#lines.isInLine ? 1 : 0)
  }

  /** Gives the next bytes. Call it only after 'need-data'. The bytes must not change until the next call. */
  receive(bytes: Uint8Array): void {
    if (!this.#input.isEmpty) throw new Error('receive: the last bytes are not used up')
    this.#input.bytes = bytes
    this.#input.position = 0
  }

  /** Says that no more bytes will come. */
  receiveEnd(): void {
    this.#input.isEnded = true
  }

  /** Returns the replies since the last call, as they are sent; undefined if there are none. The caller must not change them. */
  takeReplies(): Uint8Array | undefined {
    const replies = this.#replies
    const [first] = replies
    if (first === undefined) return undefined
    const octets = replies.length === 1 ? first.octets : joinReplies(replies, this.#waitingOctets)
    this.#replies = NO_REPLIES
    this.#waitingOctets = 0
    return octets
  }

  /** Returns the next event. */
  next(): ServerEvent {
    if (this.#pending !== undefined) throw new Error(`next: '${this.#pending.type}' is not answered`)
    if (this.#state === 'closed') return CLOSE
    if (this.#message !== undefined && this.#state !== 'bdat') return this.#nextOfMessage(this.#message)
    if (this.#skip !== undefined) return this.#skipOn(this.#skip)
    return this.#nextLine()
  }

  /**
   * Answers the pending event. A code under 400 accepts it. 421 closes the connection, whatever it answers.
   * In LMTP the answer to a message is sent once for each recipient.
   * @param each In LMTP, the reply for each recipient. They are sent instead of `given`, which still decides
   * @returns the reply that is sent: the last failure that is allowed gets another one.
   */
  answer(given: Reply, each?: readonly Reply[]): Reply {
    const event = this.#pending
    const settle = this.#settle
    const move = this.#takePending()
    const count = event === MESSAGE_END || event?.type === 'message' ? this.finalReplies : 1
    const isAccepted = given.code < 400
    const final = settle === undefined ? given : settle(this, event as never, given, isAccepted)
    this.#state = isAccepted ? move.accepted : move.refused
    if (final === undefined) return given
    if (each !== undefined && final === given) for (const one of each) this.say(one)
    else this.say(final, count)
    return final
  }

  get finalReplies(): number {
    if (!this.isLmtp || !(this.#state === 'data' || this.#isLastChunk)) return 1
    return this.envelope?.forwardPaths.length ?? 1
  }

  /** Queues a reply that ends the session, wherever it is. In LMTP each recipient of a message that arrives gets it. */
  sayLast(last: Reply): void {
    this.say(last, this.isInMessage ? this.finalReplies : 1)
  }

  /** Gives back what the session holds of the server's allowance. The protocol must not be used after it. */
  release(): void {
    this.endTransaction()
  }

  /** Accepts the 'message' event. Its bytes come next. */
  begin(): void {
    const move = this.#takePending()
    this.#state = move.accepted
    if (move.accepted !== 'data') return
    this.#message?.beginText()
    this.say(replies.START_MAIL_INPUT)
  }

  /** Continues an AUTH exchange: the client's next line is the response to this challenge. */
  challenge(octets: Uint8Array): void {
    this.#takePending()
    this.#state = 'auth'
    this.say(replyAsIs(334, '', encodeBase64(octets)))
  }

  /**
   * Queues a reply that answers no command: the greeting, or 421, which closes the connection.
   * @param count How often it is sent
   */
  say(given: Reply, count: number = 1): void {
    if (this.#replies === NO_REPLIES) this.#replies = [given]
    else this.#replies.push(given)
    for (let said = 1; said < count; said++) this.#replies.push(given)
    this.#waitingOctets += given.wire.length * count
    if (given.code === 421) this.#state = 'closed'
  }

  /** Makes the session new, because the TLS handshake is done (RFC 3207 4.2). Drops what was received in clear. */
  secured(facts: readonly ConnectionFact[] = []): void {
    this.#input.clear()
    this.#lines.clear()
    this.isSecure = true
    this.canStartTls = false
    this.facts = facts
    this.forget()
    this.#state = AFTER_TLS
  }

  /** Returns the reply to a 'hello' event that is accepted. */
  helloReply(hello: Hello): Reply {
    const { helloLine, extensions } = this.#options
    return hello.verb === 'HELO' ? reply(250, '', helloLine) : extensions.ehloReply(helloLine, this)
  }

  /** Octets of replies that wait to be taken. */
  get waitingOctets(): number {
    return this.#waitingOctets
  }

  /** Octets of the message so far. */
  get messageOctets(): number {
    return this.#message?.octets ?? 0
  }

  #takePending(): Move {
    const move = this.#move
    if (this.#pending === undefined || move === undefined) throw new Error('answer: no event waits for one')
    this.#pending = undefined
    return move
  }

  #needData(): ServerEvent {
    this.#input.clear()
    return this.#input.isEnded ? END : NEED_DATA
  }

  // For verbs

  get auth(): AuthRules {
    return this.#options
  }

  get lineOctets(): number {
    return this.#lines.octets
  }

  ask(event: ServerEvent, move: Move, settle?: Settle): ServerEvent {
    this.#pending = event
    this.#move = move
    this.#settle = settle
    return event
  }

  refuse(refusal: Reply, count?: number): ServerEvent {
    if (refusal.code === 503 && this.isBehindRefusal) return this.tell(refusal, count)
    return this.tell(this.budgets.ofBadCommand(refusal), count)
  }

  tell(given: Reply, count?: number): ServerEvent {
    this.say(given, count)
    return { type: 'violation', reply: given }
  }

  moveFor(known: KnownVerb): Move | Reply {
    const tooSoon = this.isAuthMissing ? this.budgets.countBeforeAuth() : undefined
    const refusal = tooSoon ?? this.#options.gate.refusal(known, this.#lines.octets, this)
    const move = refusal ?? known.moves[this.#state as CommandState]
    return move === NO_RECIPIENTS && this.isLmtp ? NO_RECIPIENTS_LMTP : move
  }

  setState(state: State): void {
    this.#state = state
  }

  endTransaction(): void {
    this.envelope = undefined
    this.forwarded = undefined
    this.#message = undefined
    this.#isLastChunk = false
    this.budgets.release()
  }

  forget(): void {
    this.isAuthenticated = false
    this.hello = undefined
    this.endTransaction()
  }

  beginText(): void {
    this.#message = this.#newMessage()
    this.chunkOctets = 0
  }

  beginChunk(octets: number, isLast: boolean): boolean {
    this.#isLastChunk = isLast
    this.chunkOctets = octets
    const isFirst = this.#message === undefined
    this.#message ??= this.#newMessage()
    this.#message.beginChunk(octets)
    return isFirst
  }

  skip(octets: number, answer: Reply): void {
    this.#skip = { octetsLeft: octets, answer, count: this.finalReplies }
  }

  // Lines

  #nextLine(): ServerEvent {
    const input = this.#input
    if (input.isEmpty) return this.#needData()
    const isResponse = this.#state === 'auth'
    this.verb = isResponse ? 'AUTH' : ''
    if (input.bytes[input.position] === TLS_HANDSHAKE && !this.#lines.isInLine) return this.tell(replies.NOT_SMTP)
    let status = this.#lines.read(input.bytes, input.position, isResponse)
    input.position = this.#lines.position
    if (status === 'bare-lf') {
      // HTTP allows LF to end a request line, so the CRLF may never come.
      if (!isResponse && isHttpRequest(this.#lines.text, false)) return this.tell(replies.NOT_SMTP)
      if (input.isEmpty) return this.#needData()
      status = this.#lines.read(input.bytes, input.position, isResponse)
      input.position = this.#lines.position
    }
    if (status === 'need-data') return this.#needData()

    this.linesRead++
    const { text } = this.#lines
    if (status === 'line') return isResponse ? this.#response(text) : this.#command(text)
    if (!isResponse && isHttpRequest(text, status === 'too-long')) return this.tell(replies.NOT_SMTP)
    if (isResponse) this.#state = AFTER_AUTH
    this.#observe?.(isResponse ? '(credentials)' : `(${status} line)`)
    if (status === 'too-long') return this.refuse(replies.LINE_TOO_LONG)
    return this.refuse(status === 'not-utf8' ? replies.NOT_ASCII : replies.BARE_LINE_ENDING)
  }

  #command(line: string): ServerEvent {
    const { kinds, octets } = this.#lines
    const text = this.rules.addresses === 'lenient' ? tidied(line) : trimEnd(line)
    const space = text.indexOf(' ')
    const word = space < 0 ? text : text.slice(0, space)
    const argument = space < 0 ? '' : text.slice(space + 1)
    const { gate } = this.#options
    const known = gate.find(word)
    this.verb = known?.verb ?? ''
    // An HTTP request has a method that the server does not know, or a path.
    if ((known === undefined || (kinds & KIND.slash) !== 0) && isHttpRequest(line, false)) {
      return this.tell(replies.NOT_SMTP)
    }
    this.#observe?.(this.#redacted(known, argument))
    if (known?.announce !== undefined) return known.announce(this, argument, known)
    if ((kinds & KIND.control) !== 0) return this.refuse(replies.NOT_ASCII)
    if (known === undefined) {
      const tooSoon = this.isAuthMissing ? this.budgets.countBeforeAuth() : undefined
      return this.refuse(tooSoon ?? gate.refusalOfUnknown(word, octets))
    }
    const move = this.moveFor(known)
    return isReply(move) ? this.refuse(move) : known.read(this, argument, move, known)
  }

  /**
   * Returns a command as a log may show it. The argument of AUTH is a secret. An unknown line may be one too: if a client sends
   * its whole AUTH exchange at once and AUTH is refused, its other lines come as unknown commands.
   */
  #redacted(known: KnownVerb | undefined, argument: string): string {
    if (known === undefined) return '(unknown command)'
    if (known.isAuth) return `${known.verb} ${redacted(argument, this.auth)}`
    return argument === '' ? known.verb : `${known.verb} ${argument}`
  }

  #response(line: string): ServerEvent {
    this.#observe?.('(credentials)')
    this.#state = AFTER_AUTH
    const tidy = this.rules.addresses === 'lenient' ? trimEnd(line) : line
    return askAuth(this, readResponse(tidy))
  }

  // Messages: RFC 5321 4.1.1.4 (DATA), RFC 3030 2 (BDAT)

  #skipOn(skip: Skip): ServerEvent {
    while (skip.octetsLeft > 0) {
      const bytes = this.#input.take(skip.octetsLeft)
      if (bytes === undefined) return this.#needData()
      skip.octetsLeft -= bytes.length
    }
    this.#skip = undefined
    return this.refuse(skip.answer, skip.count)
  }

  #newMessage(): MessageReader {
    return new MessageReader(this.limits, this.#options.bareLineEndings)
  }

  #nextOfMessage(message: MessageReader): ServerEvent {
    const step = message.read(this.#input)
    if (step === 'need-data') return this.#needData()
    if (step === 'past-drain') return this.tell(replies.TOO_MUCH_DATA, this.finalReplies)
    if (step !== 'over') return step
    if (this.#state === 'chunk' && !this.#isLastChunk && !message.hasFailed)
      return this.ask(CHUNK_END, AFTER_CHUNK, settleTransaction)
    return this.ask(MESSAGE_END, END_OF_MESSAGE, settleMessageEnd)
  }
}
