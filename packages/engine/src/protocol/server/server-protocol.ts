/**
 * The server's side of SMTP, without I/O: bytes in, events and replies out.
 *
 * The driver calls `next` until it answers 'need-data', sends what `takeReplies` gives, and calls `receive`. An event that
 * asks for an answer gets it before the next `next`. What a client may say is decided here; whether it gets what it asks
 * for is the driver's answer. All moves between states are those of `state.ts`.
 */
import type { Allowance } from './allowance.ts'
import { Authentication } from './authentication.ts'
import { KIND, trimEnd } from '../bytes/ascii.ts'
import { argumentRefusal, helloRefusal, isHttpRequest, parseChunk, parseQuery, tidied } from '../grammar/command.ts'
import type { Envelope } from '../grammar/envelope.ts'
import type { Hello, ServerEvent } from './event.ts'
import type { ExtensionContext } from '../extensions/extension.ts'
import type { ExtensionSet } from '../extensions/set.ts'
import type { Gate, VerbRule, Visitor } from './gate.ts'
import { Input } from '../bytes/input.ts'
import type { Limits } from '../limits.ts'
import { LineReader } from '../framing/lines.ts'
import { MessageReader, isPastDrain } from './message-reader.ts'
import { allocate } from '../bytes/octets.ts'
import * as replies from '../grammar/replies.ts'
import { type Reply, isReply, reply } from '../grammar/reply.ts'
import { type Mechanism, type Step, encodeBase64 } from '../sasl.ts'
import { AFTER_AUTH, AFTER_CHUNK, AFTER_MESSAGE, AFTER_TLS, type CommandState, type Move, type State } from './state.ts'
import type { BareLineEndings } from '../framing/text.ts'
import { type OpenEnvelope, type TransactionRules, readMail, readRcpt } from './transaction.ts'

/** What one server's sessions have in common. */
export interface ProtocolOptions extends TransactionRules {
  readonly hostname: string
  readonly limits: Limits
  readonly extensions: ExtensionSet
  readonly mechanisms: ReadonlyMap<string, Mechanism>
  readonly allowAuthWithoutTls: boolean
  readonly bareLineEndings: BareLineEndings
  readonly gate: Gate
  /** What the envelopes of all sessions may hold. */
  readonly envelopes: Allowance
}

/** What one session is set apart by. */
export interface SessionPolicy {
  readonly isSecure: boolean
  readonly canStartTls: boolean
  readonly tlsRequired: boolean
  readonly authRequired: boolean
  /** Default: those of the server. */
  readonly addresses?: TransactionRules['addresses'] | undefined
  /** Sees each command line, credentials taken out. */
  readonly observe?: ((line: string) => void) | undefined
}

/** What a path costs besides its octets: the objects that it is made of. */
const PATH_OVERHEAD_OCTETS = 512
/** What each envelope may have of its own: so that ordinary mail is taken when others have used up what all sessions share. */
const OWN_OCTETS = 4_096

const NEED_DATA: ServerEvent = { type: 'need-data' }
const END: ServerEvent = { type: 'end' }
const CLOSE: ServerEvent = { type: 'close' }
const MESSAGE: ServerEvent = { type: 'message' }
const CHUNK_END: ServerEvent = { type: 'chunk-end' }
const MESSAGE_END: ServerEvent = { type: 'message-end' }

/** The first octet of a TLS record that holds a handshake (RFC 8446 5.1). No command begins with it. */
const TLS_HANDSHAKE = 0x16
const END_OF_MESSAGE: Move = { accepted: AFTER_MESSAGE, refused: AFTER_MESSAGE }
const END_OF_AUTH: Move = { accepted: AFTER_AUTH, refused: AFTER_AUTH }

/** An event that waits for its answer, and where each answer leads. */
interface Pending {
  readonly event: ServerEvent
  readonly move: Move
}

/** A chunk that is refused: its octets are read away, then comes the answer. */
interface Skip {
  octetsLeft: number
  readonly answer: Reply
}

export class ServerProtocol implements ExtensionContext, Visitor {
  readonly limits: Limits
  isSecure: boolean
  canStartTls: boolean
  isAuthenticated = false
  /** What the client said its name was, since the connection or the TLS handshake. */
  hello: Hello | undefined
  /** Command lines and responses so far, whatever became of them. */
  linesRead = 0
  /** The verb of the last command, in upper case; '' for a line that is none, or that nobody knows. */
  verb = ''

  readonly #options: ProtocolOptions
  readonly #policy: SessionPolicy
  readonly #rules: TransactionRules
  readonly #gate: Gate
  readonly #authentication: Authentication
  readonly #input: Input = new Input()
  readonly #lines: LineReader
  #state: State = 'start'
  #pending: Pending | undefined
  /** Replies that wait to be taken. */
  #replies: Reply[] = []
  #waitingOctets = 0

  #envelope: OpenEnvelope | undefined
  /** Octets of its paths and parameters. */
  #envelopeOctets = 0
  /** The same, and what its objects cost. */
  #heldOctets = 0
  /** What it has of the server's allowance. */
  #allowedOctets = 0
  #message: MessageReader | undefined
  #isLastChunk = false
  #chunkOctets = 0
  #skip: Skip | undefined
  #badCommands = 0
  #idleCommands = 0
  /** Since a message was accepted. */
  #refusedRecipients = 0
  /** What was pipelined behind a refusal is out of order through no fault of the client's. */
  #isBehindRefusal = false
  #failedAuths = 0
  #commandsBeforeAuth = 0

  constructor(options: ProtocolOptions, policy: SessionPolicy) {
    this.limits = options.limits
    this.isSecure = policy.isSecure
    this.canStartTls = policy.canStartTls
    this.#options = options
    this.#policy = policy
    const { addresses = options.addresses } = policy
    this.#rules = addresses === options.addresses ? options : { addresses, extensions: options.extensions }
    this.#gate = options.gate
    this.#authentication = new Authentication(options.mechanisms, options.allowAuthWithoutTls)
    const { maxAuthLineOctets } = options.limits
    const { maxLineOctets } = options.gate
    const hasAuth = options.mechanisms.size > 0
    this.#lines = new LineReader(maxLineOctets, hasAuth ? Math.max(maxAuthLineOctets, maxLineOctets) : maxLineOctets)
  }

  get state(): State {
    return this.#state
  }

  /** The transaction in progress, or proposed by the MAIL that waits for its answer. */
  get envelope(): Envelope | undefined {
    return this.#envelope
  }

  get isTlsMissing(): boolean {
    return this.#policy.tlsRequired && !this.isSecure
  }

  get isAuthMissing(): boolean {
    return this.#policy.authRequired && !this.isAuthenticated
  }

  /** Whether a command has begun and not ended. */
  get isInLine(): boolean {
    return this.#lines.isInLine || this.#skip !== undefined
  }

  /** Whether a message has begun and not ended. */
  get isInMessage(): boolean {
    return this.#state === 'data' || this.#state === 'chunk' || this.#state === 'bdat'
  }

  /** Octets received that no event has used up. */
  get unreadOctets(): number {
    return this.#input.bytes.length - this.#input.position + (this.#lines.isInLine ? 1 : 0)
  }

  /** Gives the next bytes. Only after 'need-data'. They must stay as they are until the next call. */
  receive(bytes: Uint8Array): void {
    if (!this.#input.isEmpty) throw new Error('receive: the last bytes are not used up')
    this.#input.bytes = bytes
    this.#input.position = 0
  }

  /** Says that no more bytes will come. */
  receiveEnd(): void {
    this.#input.isEnded = true
  }

  /** The replies since the last call, as they go over the wire; undefined for none. They are not to be changed. */
  takeReplies(): Uint8Array | undefined {
    const replies = this.#replies
    const [first] = replies
    if (first === undefined) return undefined
    const octets = replies.length === 1 ? first.octets : joinOctets(replies, this.#waitingOctets)
    this.#replies = []
    this.#waitingOctets = 0
    return octets
  }

  /** What comes next. */
  next(): ServerEvent {
    if (this.#pending !== undefined) throw new Error(`next: '${this.#pending.event.type}' is not answered`)
    if (this.#state === 'closed') return CLOSE
    if (this.#message !== undefined && this.#state !== 'bdat') return this.#nextOfMessage(this.#message)
    if (this.#skip !== undefined) return this.#skipOn(this.#skip)
    return this.#nextLine()
  }

  /**
   * Answers the event that waits: under 400 accepts it. 421 closes, whatever it answers.
   * @returns the reply that is given: the last failure that is allowed gets another one.
   */
  answer(given: Reply): Reply {
    const { event, move } = this.#takePending()
    const isAccepted = given.code < 400
    let final = given
    switch (event.type) {
      case 'hello':
        if (isAccepted) {
          this.hello = event.hello
          this.#endTransaction()
          this.#isBehindRefusal = false
        }
        break
      case 'mail':
        if (!isAccepted) {
          this.#endTransaction()
          final = this.#ofIdle(given)
        }
        this.#isBehindRefusal = !isAccepted
        break
      case 'rcpt':
        if (isAccepted) this.#envelope?.forwardPaths.push(event.forwardPath)
        else {
          this.#letGo(this.#lines.octets)
          final = this.#ofRecipient(given)
        }
        break
      case 'credentials':
        if (isAccepted) this.isAuthenticated = true
        else if (given.code >= 500 && ++this.#failedAuths >= this.limits.maxFailedAuths) {
          final = replies.TOO_MANY_FAILED_AUTHS
        }
        break
      case 'command':
        if (event.verb === 'RSET' && isAccepted) {
          this.#endTransaction()
          this.#isBehindRefusal = false
        }
        break
      case 'message':
        this.#endTransaction()
        final = this.#ofIdle(given)
        if (this.#chunkOctets > 0 && final === given) {
          // The chunk that came with it still has to be read away, and is answered then.
          this.#skip = { octetsLeft: this.#chunkOctets, answer: given }
          this.#state = move.refused
          return given
        }
        break
      case 'chunk-end':
        if (!isAccepted) {
          this.#endTransaction()
          final = this.#ofIdle(given)
        }
        this.#isBehindRefusal = !isAccepted
        break
      case 'message-end':
        if (isAccepted) this.#badCommands = this.#idleCommands = this.#refusedRecipients = 0
        else final = this.#ofIdle(given)
        this.#isBehindRefusal = !isAccepted
        this.#endTransaction()
        break
    }
    this.#state = isAccepted ? move.accepted : move.refused
    this.say(final)
    return final
  }

  /** Gives back what the session holds of the server's. Nothing may be asked of it any more. */
  release(): void {
    this.#endTransaction()
  }

  /** Accepts the 'message' event: its bytes come next. */
  begin(): void {
    const { move } = this.#takePending()
    this.#state = move.accepted
    if (move.accepted !== 'data') return
    this.#message?.beginText()
    this.say(replies.START_MAIL_INPUT)
  }

  /** Queues a reply, also one that answers no command: the greeting, or 421, which closes. */
  say(given: Reply): void {
    this.#replies.push(given)
    this.#waitingOctets += given.wire.length
    if (given.code === 421) this.#state = 'closed'
  }

  /** The TLS handshake is done: the session is new (RFC 3207 4.2). Whatever else was received in clear is gone. */
  secured(): void {
    this.#input.clear()
    this.#lines.clear()
    this.isSecure = true
    this.canStartTls = false
    this.isAuthenticated = false
    this.hello = undefined
    this.#state = AFTER_TLS
  }

  /** What to answer to a 'hello' event that is accepted. */
  helloReply(hello: Hello): Reply {
    const { hostname, extensions } = this.#options
    return hello.verb === 'EHLO' ? extensions.ehloReply(hostname, this) : reply(250, '', hostname)
  }

  /** Octets of replies that wait to be taken. */
  get waitingOctets(): number {
    return this.#waitingOctets
  }

  /** Octets of the message so far. */
  get messageOctets(): number {
    return this.#message?.octets ?? 0
  }

  #ask(event: ServerEvent, move: Move): ServerEvent {
    this.#pending = { event, move }
    return event
  }

  #takePending(): Pending {
    const pending = this.#pending
    if (pending === undefined) throw new Error('answer: no event waits for one')
    this.#pending = undefined
    return pending
  }

  /** Refuses a command that the driver never gets to see. */
  #refuse(refusal: Reply): ServerEvent {
    if (refusal.code === 503 && this.#isBehindRefusal) return this.#tell(refusal)
    const isTooMany = ++this.#badCommands >= this.limits.maxBadCommands
    return this.#tell(isTooMany ? replies.TOO_MANY_ERRORS : refusal)
  }

  #tell(given: Reply): ServerEvent {
    this.say(given)
    return { type: 'violation', reply: given }
  }

  #needData(): ServerEvent {
    this.#input.clear()
    return this.#input.isEnded ? END : NEED_DATA
  }

  #endTransaction(): void {
    this.#envelope = undefined
    this.#message = undefined
    this.#envelopeOctets = 0
    this.#heldOctets = 0
    if (this.#allowedOctets === 0) return
    this.#options.envelopes.give(this.#allowedOctets)
    this.#allowedOctets = 0
  }

  /** Counts a path and its parameters to the envelope. Returns why there is no room for them; undefined if there is. */
  #hold(octets: number): Reply | undefined {
    if (this.#envelopeOctets + octets > this.limits.maxEnvelopeOctets) return replies.ENVELOPE_TOO_LARGE
    const heldOctets = this.#heldOctets + octets + PATH_OVERHEAD_OCTETS
    const more = Math.max(0, heldOctets - OWN_OCTETS) - this.#allowedOctets
    if (more > 0) {
      if (!this.#options.envelopes.take(more)) return replies.OUT_OF_MEMORY
      this.#allowedOctets += more
    }
    this.#envelopeOctets += octets
    this.#heldOctets = heldOctets
    return undefined
  }

  /** Takes back what was counted for a path that is refused. What it had of the allowance is given back with the envelope. */
  #letGo(octets: number): void {
    this.#envelopeOctets -= octets
    this.#heldOctets -= octets + PATH_OVERHEAD_OCTETS
  }

  /** Counts a refusal that leads nowhere. Returns it, or the reply that ends the session if there were too many. */
  #ofIdle(refusal: Reply): Reply {
    return ++this.#idleCommands > this.limits.maxIdleCommands ? replies.TOO_MANY_IDLE_COMMANDS : refusal
  }

  /** The same for a recipient. A transaction may have as many that are refused as it may have others. */
  #ofRecipient(refusal: Reply): Reply {
    return ++this.#refusedRecipients > this.limits.maxRecipients ? this.#ofIdle(refusal) : refusal
  }

  /** Counts a command that leads nowhere. Returns the event that ends the session if there were too many; undefined otherwise. */
  #idle(): ServerEvent | undefined {
    return ++this.#idleCommands > this.limits.maxIdleCommands ? this.#tell(replies.TOO_MANY_IDLE_COMMANDS) : undefined
  }

  // Lines

  #nextLine(): ServerEvent {
    const input = this.#input
    if (input.isEmpty) return this.#needData()
    const isResponse = this.#state === 'auth'
    this.verb = isResponse ? 'AUTH' : ''
    if (input.bytes[input.position] === TLS_HANDSHAKE && !this.#lines.isInLine) return this.#tell(replies.NOT_SMTP)
    let status = this.#lines.read(input.bytes, input.position, isResponse)
    input.position = this.#lines.position
    if (status === 'bare-lf') {
      // HTTP lets LF end a request line, and the CRLF may never come.
      if (!isResponse && isHttpRequest(this.#lines.text, false)) return this.#tell(replies.NOT_SMTP)
      if (input.isEmpty) return this.#needData()
      status = this.#lines.read(input.bytes, input.position, isResponse)
      input.position = this.#lines.position
    }
    if (status === 'need-data') return this.#needData()

    this.linesRead++
    const { text } = this.#lines
    if (status === 'line') return isResponse ? this.#response(text) : this.#command(text)
    if (!isResponse && isHttpRequest(text, status === 'too-long')) return this.#tell(replies.NOT_SMTP)
    if (isResponse) this.#state = AFTER_AUTH
    this.#policy.observe?.(isResponse ? '(credentials)' : `(${status} line)`)
    if (status === 'too-long') return this.#refuse(replies.LINE_TOO_LONG)
    return this.#refuse(status === 'not-utf8' ? replies.NOT_ASCII : replies.BARE_LINE_ENDING)
  }

  #command(line: string): ServerEvent {
    const { kinds, octets } = this.#lines
    const text = this.#rules.addresses === 'lenient' ? tidied(line) : trimEnd(line)
    const space = text.indexOf(' ')
    const word = space < 0 ? text : text.slice(0, space)
    const argument = space < 0 ? '' : text.slice(space + 1)
    const rule = this.#gate.ruleOf(word)
    this.verb = rule?.verb ?? ''
    // A request of HTTP has a method that nobody knows, or a path.
    if ((rule === undefined || (kinds & KIND.slash) !== 0) && isHttpRequest(line, false)) {
      return this.#tell(replies.NOT_SMTP)
    }
    this.#policy.observe?.(this.#redacted(rule, argument))
    if (rule?.verb === 'BDAT') return this.#bdat(argument, rule)
    if ((kinds & KIND.control) !== 0) return this.#refuse(replies.NOT_ASCII)
    if (rule === undefined) return this.#refuse(this.#tooSoon() ?? this.#gate.refusalOfUnknown(word, octets))
    const move = this.#moveFor(rule)
    if (isReply(move)) return this.#refuse(move)
    switch (rule.verb) {
      case 'HELO':
      case 'EHLO':
        return this.#hello(rule.verb, argument, move)
      case 'MAIL':
        return this.#mail(argument, move)
      case 'RCPT':
        return this.#rcpt(argument, move)
      case 'DATA':
        return this.#data(argument, move)
      case 'AUTH':
        return this.#auth(argument)
      default:
        return this.#otherCommand(rule.verb, argument, move)
    }
  }

  /**
   * A command as a log may show it. What AUTH carries is a secret; and so may be what nobody knows: the lines of a client
   * that sent its AUTH exchange in one go and was refused at the first come as unknown commands.
   */
  #redacted(rule: VerbRule | undefined, argument: string): string {
    if (rule === undefined) return '(unknown command)'
    if (rule.verb === 'AUTH') return `AUTH ${this.#authentication.redact(argument)}`
    return argument === '' ? rule.verb : `${rule.verb} ${argument}`
  }

  /** Where a command leads, or why it may not be sent now. Its syntax is not looked at yet. */
  #moveFor(rule: VerbRule): Move | Reply {
    return (
      this.#tooSoon() ?? this.#gate.refusal(rule, this.#lines.octets, this) ?? rule.moves[this.#state as CommandState]
    )
  }

  /** Counts a command where AUTH is required and missing. */
  #tooSoon(): Reply | undefined {
    if (!this.isAuthMissing || ++this.#commandsBeforeAuth <= this.limits.maxCommandsBeforeAuth) return undefined
    return replies.TOO_MANY_COMMANDS_BEFORE_AUTH
  }

  #hello(verb: Hello['verb'], argument: string, move: Move): ServerEvent {
    const refusal = helloRefusal(argument, this.#rules.addresses)
    if (refusal !== undefined) return this.#refuse(refusal)
    const tooMany = this.hello && this.#idle()
    return tooMany ?? this.#ask({ type: 'hello', hello: { verb, name: argument } }, move)
  }

  #mail(argument: string, move: Move): ServerEvent {
    const envelope = readMail(argument, this.#rules, this)
    if (isReply(envelope)) return this.#refuse(envelope)
    const noRoom = this.#hold(this.#lines.octets)
    if (noRoom !== undefined) return this.#tell(this.#ofIdle(noRoom))
    this.#envelope = envelope
    return this.#ask({ type: 'mail', reversePath: envelope.reversePath }, move)
  }

  #rcpt(argument: string, move: Move): ServerEvent {
    const forwardPath = readRcpt(argument, this.#rules, this)
    if (isReply(forwardPath)) {
      // A recipient refused here is as refused as one that the driver refuses.
      this.#state = move.refused
      return this.#refuse(forwardPath)
    }
    const isFull = (this.#envelope?.forwardPaths.length ?? 0) >= this.limits.maxRecipients
    const noRoom = isFull ? replies.TOO_MANY_RECIPIENTS : this.#hold(this.#lines.octets)
    if (noRoom === undefined) return this.#ask({ type: 'rcpt', forwardPath }, move)
    this.#state = move.refused
    // No room is no error: the client is to send the rest in another transaction (RFC 5321 4.5.3.1.10).
    return this.#tell(this.#ofRecipient(noRoom))
  }

  #otherCommand(verb: string, argument: string, move: Move): ServerEvent {
    const isQuery = verb === 'VRFY' || verb === 'EXPN'
    const query = isQuery ? parseQuery(argument, this.#options.extensions.mail.has('SMTPUTF8')) : argument
    const refusal = isReply(query) ? query : isQuery ? undefined : argumentRefusal(verb, argument)
    if (refusal !== undefined) return this.#refuse(refusal)
    const tooMany = verb === 'QUIT' || verb === 'STARTTLS' ? undefined : this.#idle()
    return tooMany ?? this.#ask({ type: 'command', verb, argument: query as string }, move)
  }

  #auth(argument: string): ServerEvent {
    if (this.isAuthenticated) return this.#refuse(replies.ALREADY_AUTHENTICATED)
    const tidy = this.#rules.addresses === 'lenient' ? argument.replace(/ +/g, ' ') : argument
    return this.#authenticate(this.#authentication.start(tidy, this.isSecure))
  }

  #response(line: string): ServerEvent {
    this.#policy.observe?.('(credentials)')
    this.#state = AFTER_AUTH
    const tidy = this.#rules.addresses === 'lenient' ? trimEnd(line) : line
    return this.#authenticate(this.#authentication.respond(tidy))
  }

  #authenticate(step: Step | Reply): ServerEvent {
    if (isReply(step)) return this.#refuse(step)
    if ('credentials' in step) return this.#ask({ type: 'credentials', credentials: step.credentials }, END_OF_AUTH)
    this.say(reply(334, '', encodeBase64(step.challenge)))
    this.#state = 'auth'
    return this.next()
  }

  // Messages: RFC 5321 4.1.1.4 (DATA), RFC 3030 2 (BDAT)

  #data(argument: string, move: Move): ServerEvent {
    const refusal = argumentRefusal('DATA', argument)
    if (refusal !== undefined) return this.#refuse(refusal)
    if (this.#envelope?.body === 'BINARYMIME') return this.#refuse(replies.BINARY_NEEDS_BDAT)
    this.#message = this.#newMessage()
    this.#chunkOctets = 0
    return this.#ask(MESSAGE, move)
  }

  #bdat(argument: string, rule: VerbRule): ServerEvent {
    const chunk = parseChunk(argument)
    if (chunk === undefined) return this.#refuse(replies.BAD_CHUNK_SIZE)
    const { octets, isLast, isMalformed } = chunk
    // Whatever the answer, these octets are the chunk's and must never be read as commands.
    if (isPastDrain(this.messageOctets + octets, this.limits)) return this.#tell(replies.TOO_MUCH_DATA)
    const move = this.#moveFor(rule)
    if (isReply(move) || isMalformed) {
      this.#skip = { octetsLeft: octets, answer: isReply(move) ? move : replies.BAD_CHUNK_SIZE }
      return this.next()
    }
    this.#isLastChunk = isLast
    this.#chunkOctets = octets
    const tooMany = octets === 0 && !isLast ? this.#idle() : undefined
    if (tooMany !== undefined) return tooMany
    const isFirst = this.#message === undefined
    this.#message ??= this.#newMessage()
    this.#message.beginChunk(octets)
    if (isFirst) return this.#ask(MESSAGE, move)
    this.#state = move.accepted
    return this.next()
  }

  #skipOn(skip: Skip): ServerEvent {
    while (skip.octetsLeft > 0) {
      const bytes = this.#input.take(skip.octetsLeft)
      if (bytes === undefined) return this.#needData()
      skip.octetsLeft -= bytes.length
    }
    this.#skip = undefined
    return this.#refuse(skip.answer)
  }

  #newMessage(): MessageReader {
    return new MessageReader(this.limits, this.#options.bareLineEndings)
  }

  #nextOfMessage(message: MessageReader): ServerEvent {
    const step = message.read(this.#input)
    if (step === 'need-data') return this.#needData()
    if (step === 'past-drain') return this.#tell(replies.TOO_MUCH_DATA)
    if (step !== 'over') return step
    if (this.#state === 'chunk' && !this.#isLastChunk && !message.hasFailed) return this.#ask(CHUNK_END, AFTER_CHUNK)
    return this.#ask(MESSAGE_END, END_OF_MESSAGE)
  }
}

function joinOctets(given: readonly Reply[], octets: number): Uint8Array {
  const joined = allocate(octets)
  let at = 0
  for (const each of given) {
    joined.set(each.octets, at)
    at += each.wire.length
  }
  return joined
}
