/** Sends one message: MAIL, RCPT, the bytes, and what became of each recipient. */
import type { ServerInfo } from '../protocol/client/capabilities.ts'
import { type Content, contentOf } from '../protocol/client/content.ts'
import type { OutgoingEnvelope, RecipientOutcome, SendResult } from '../protocol/client/outgoing.ts'
import { type MessageFacts, type Plan, planTransaction } from '../protocol/client/plan.ts'
import { replyText, type ServerReply } from '../protocol/client/server-reply.ts'
import type { Channel } from './channel.ts'
import { type GroupedCommand, refusal, sendGroup } from './commands.ts'
import { type DeliveryDeps, PIECE_OCTETS, sendChunk, sendChunks, sendText } from './delivery.ts'
import { ClientError, type ClientStage, messageOf } from './error.ts'
import { chunksOf, isStream, type OutgoingMessage, wholeMessage } from './message.ts'

export interface SendOptions {
  /** Ends the transaction, and with it the connection. */
  readonly signal?: AbortSignal
  /** Gets the octets of the message that were sent so far. */
  onProgress?(octetsSent: number): void
}

export interface TransactionDeps {
  readonly channel: Channel
  readonly server: ServerInfo
  readonly isLmtp: boolean
  /** An earlier transaction may still be open: RSET goes first. */
  readonly needsReset: boolean
}

export interface TransactionEnd {
  readonly outcome: SendResult | ClientError
  /** The server may still have the transaction open. */
  readonly needsReset: boolean
}

/** 'at-once': the message goes with the commands, in one write. */
type Way = 'at-once' | 'chunk' | 'chunks' | 'text'

const START_MAIL_INPUT = 354
const UNKNOWN_MESSAGE: MessageFacts = { hasUtf8Header: false }
const DOT = Uint8Array.of(46, 13, 10)

export class Transaction {
  readonly #deps: TransactionDeps
  readonly #channel: Channel
  readonly #addresses: readonly string[]
  readonly #message: OutgoingMessage
  readonly #content: Content | undefined
  readonly #options: SendOptions
  readonly #plan: Plan
  readonly #way: Way
  readonly #isPipelining: boolean
  #mail: ServerReply | undefined
  /** The replies to RCPT. */
  readonly #rcpts: ServerReply[] = []
  #data: ServerReply | undefined
  /** The replies to the message: one, or one for each accepted recipient in LMTP. */
  readonly #finals: ServerReply[] = []
  /** The last reply of all, and what it answered. */
  #last: { readonly reply: ServerReply; readonly stage: ClientStage } | undefined
  /** All of the message was given to the connection. */
  #isSent = false

  /** @throws TypeError if the envelope is not valid; ClientError if the server does not offer what the message needs */
  constructor(deps: TransactionDeps, envelope: OutgoingEnvelope, message: OutgoingMessage, options: SendOptions) {
    this.#deps = deps
    this.#channel = deps.channel
    this.#addresses = envelope.forwardPaths.map((path) => (typeof path === 'string' ? path : path.address))
    this.#options = options
    this.#message = message
    const whole = wholeMessage(message)
    if (whole === undefined && !isStream(message)) {
      throw new TypeError('message: not a string, a Uint8Array, an iterable of Uint8Array or a ReadableStream')
    }
    this.#content = whole && contentOf(whole, envelope.bodyType === 'BINARYMIME')
    const { duplex, isAccepted } = deps.channel
    const link = { isVerified: isAccepted || duplex.tls?.peerCertificate?.verified === true }
    const plan = planTransaction(envelope, this.#content?.facts ?? UNKNOWN_MESSAGE, deps.server, link)
    if ('lacks' in plan) {
      const { lacks, enhancedCode } = plan
      throw new ClientError(lacks, { reason: 'unsupported', stage: 'mail', enhancedCode })
    }
    this.#plan = plan
    const { extensions } = deps.server
    this.#isPipelining = extensions.has('PIPELINING')
    this.#way = wayOf(this.#content, extensions.has('CHUNKING'), this.#isPipelining)
  }

  /** @throws ClientError if the connection is lost */
  async run(): Promise<TransactionEnd> {
    try {
      return await this.#run()
    } catch (error) {
      throw this.#lost(error instanceof ClientError ? error : this.#channel.fail('aborted', messageOf(error), error))
    }
  }

  async #run(): Promise<TransactionEnd> {
    const channel = this.#channel
    await this.#sendCommands()
    if (!channel.isOpen) return end(this.#refusedByLast())
    const mail = this.#mail as ServerReply
    if (mail.code >= 400 || !this.#rcpts.some(isPositive)) {
      if (this.#data?.code === START_MAIL_INPUT) await this.#sendNothing()
      return mail.code >= 400 ? end(refusal(channel, 'mail', mail)) : end(this.#refusedByAll(), true)
    }
    if (this.#way === 'at-once') {
      this.#options.onProgress?.(this.#content?.facts.octets ?? 0)
      return this.#readFinals()
    }
    if (this.#way === 'text') {
      if (!this.#isPipelining) await this.#group([this.#dataCommand()])
      const data = this.#data as ServerReply
      if (data.code !== START_MAIL_INPUT) return end(this.#refused(data, 'data'), true)
    }
    const refused = await this.#deliver()
    if (refused !== undefined) return end(this.#refused(refused, 'data'), true)
    return this.#readFinals()
  }

  /** Sends all commands that need not wait for a reply. */
  async #sendCommands(): Promise<void> {
    const { mailMs, rcptMs, finalMs, commandMs } = this.#channel.timeouts
    const { mail, rcpts } = this.#plan
    const commands: GroupedCommand[] = [
      { line: mail, stage: 'mail', ms: mailMs },
      ...rcpts.map((line): GroupedCommand => ({ line, stage: 'rcpt', ms: rcptMs })),
    ]
    if (this.#deps.needsReset) commands.unshift({ line: 'RSET', stage: 'command', ms: commandMs })
    const content = this.#content
    if (this.#way === 'at-once' && content !== undefined) {
      commands.push({ line: `BDAT ${content.facts.octets} LAST`, stage: 'final', ms: finalMs })
      return this.#group(commands, content)
    }
    if (this.#way === 'text' && this.#isPipelining) commands.push(this.#dataCommand())
    // Without PIPELINING, no RCPT follows a MAIL that was refused.
    if (this.#isPipelining) return this.#group(commands)
    for (const command of commands) {
      await this.#group([command])
      if (!this.#channel.isOpen || (this.#mail !== undefined && this.#mail.code >= 400)) return
    }
  }

  #dataCommand(): GroupedCommand {
    return { line: 'DATA', stage: 'data', ms: this.#channel.timeouts.dataMs }
  }

  #group(commands: readonly GroupedCommand[], tail?: Content): Promise<void> {
    return sendGroup(this.#channel, {
      commands,
      isPipelining: this.#isPipelining,
      tail: tail?.pieces ?? [],
      last: () => {
        this.#isSent = tail !== undefined
      },
      took: (reply, { stage }) => this.#take(stage, reply),
    })
  }

  #take(stage: ClientStage, reply: ServerReply): void {
    if (reply.code >= 300 && reply.code < 400 && !(stage === 'data' && reply.code === START_MAIL_INPUT)) {
      throw refusal(this.#channel, stage, reply)
    }
    this.#last = { reply, stage }
    if (stage === 'mail') this.#mail = reply
    else if (stage === 'rcpt') this.#rcpts.push(reply)
    else if (stage === 'final') this.#finals.push(reply)
    else if (stage === 'data') {
      // 250 would mean that the server has a message already.
      if (isPositive(reply)) throw refusal(this.#channel, stage, reply)
      this.#data = reply
    }
  }

  /** Ends a message that has no recipient and no text, because the server said 354 all the same. */
  async #sendNothing(): Promise<void> {
    const channel = this.#channel
    channel.assertReady('data')
    void channel.write(DOT)
    // In LMTP there is a reply for each accepted recipient, so there is none to wait for.
    if (this.#deps.isLmtp) void channel.leave()
    else await channel.reply('data', channel.timeouts.finalMs)
  }

  /** Sends the message. Returns the reply that refuses a chunk, if there is one. */
  async #deliver(): Promise<ServerReply | undefined> {
    const channel = this.#channel
    channel.assertReady('message')
    const deps: DeliveryDeps = {
      channel,
      content: this.#content ?? chunksOf(this.#message as Exclude<OutgoingMessage, string>),
      isBinary: this.#plan.isBinary,
      progress: (octets) => this.#options.onProgress?.(octets),
      last: () => {
        this.#isSent = true
        channel.stage = 'final'
      },
    }
    let refused: ServerReply | undefined
    if (this.#way === 'text') await sendText(deps)
    else if (this.#content !== undefined) await sendChunk(deps, this.#content)
    else refused = await sendChunks(deps, this.#isPipelining)
    if (refused === undefined && !this.#isSent) await this.#interrupted()
    return refused
  }

  /** The server has said something, or has left, before the message was whole. */
  async #interrupted(): Promise<never> {
    const channel = this.#channel
    const reply = await channel.reply('message', channel.timeouts.finalMs)
    if (reply.code < 400) {
      throw channel.fail('protocol', `the server answered before the message was whole: ${replyText(reply)}`)
    }
    // Only the end of the connection tells the server that the rest does not come.
    throw channel.failWith(this.#refused(reply, 'message'))
  }

  async #readFinals(): Promise<TransactionEnd> {
    const channel = this.#channel
    const wanted = this.#deps.isLmtp ? this.#rcpts.filter(isPositive).length : 1
    while (this.#finals.length < wanted && channel.isOpen) {
      this.#take('final', await channel.reply('final', channel.timeouts.finalMs))
    }
    const accepted = this.#finals.find(isPositive)
    if (accepted !== undefined) return end({ recipients: this.#outcomes(this.#last), reply: accepted })
    const reply = this.#finals.find(isTemporary) ?? (this.#finals[0] as ServerReply)
    // RFC 3030 4.2: after a refused BDAT nobody knows what the server has.
    return end(this.#refused(reply, 'final'), this.#way !== 'text')
  }

  #refusedByAll(): ClientError {
    const reply = this.#rcpts.find(isTemporary) ?? (this.#rcpts[0] as ServerReply)
    return new ClientError(`the server refused every recipient: ${replyText(reply)}`, {
      reason: 'refused',
      stage: 'rcpt',
      reply,
      recipients: this.#outcomes(),
    })
  }

  /** The server said 421 before it had the message, and closes. */
  #refusedByLast(): ClientError {
    const { reply, stage } = this.#last as { reply: ServerReply; stage: ClientStage }
    const isBeforeRcpt = stage === 'mail' || stage === 'command'
    return isBeforeRcpt ? refusal(this.#channel, stage, reply) : this.#refused(reply, stage)
  }

  #refused(reply: ServerReply, stage: ClientStage): ClientError {
    const recipients = this.#outcomes({ reply, stage })
    return new ClientError(`the server refused: ${replyText(reply)}`, { reason: 'refused', stage, reply, recipients })
  }

  /**
   * Says what became of each recipient, as far as that is known.
   * @param rest The reply that holds for recipients who have none of their own
   */
  #outcomes(rest?: { readonly reply: ServerReply; readonly stage: ClientStage }): RecipientOutcome[] {
    let accepted = 0
    return this.#addresses.flatMap((address, index): RecipientOutcome[] => {
      const rcpt = this.#rcpts[index]
      if (rcpt !== undefined && !isPositive(rcpt)) return [{ address, isAccepted: false, reply: rcpt, stage: 'rcpt' }]
      const final = rcpt && this.#finals[this.#deps.isLmtp ? accepted++ : 0]
      if (final !== undefined) return [{ address, isAccepted: isPositive(final), reply: final, stage: 'final' }]
      if (rest === undefined) return []
      const stage = rcpt === undefined ? 'rcpt' : rest.stage === 'final' || rest.stage === 'message' ? 'final' : 'data'
      return [{ address, isAccepted: false, reply: rest.reply, stage }]
    })
  }

  /** Adds what is known of the message to the error of a lost connection. */
  #lost(error: ClientError): ClientError {
    const { message, reason, stage, reply, isTemporary, cause } = error
    const recipients = error.recipients.length > 0 ? error.recipients : this.#outcomes()
    const isRefused = reason === 'refused' || (this.#mail !== undefined && this.#mail.code >= 400)
    const mayBeAccepted = this.#isSent && !isRefused && recipients.length < this.#addresses.length
    return new ClientError(message, { reason, stage, reply, isTemporary, mayBeAccepted, recipients, cause })
  }
}

function wayOf(content: Content | undefined, isChunking: boolean, isPipelining: boolean): Way {
  if (!isChunking) return 'text'
  if (content === undefined) return 'chunks'
  return isPipelining && content.facts.octets <= PIECE_OCTETS ? 'at-once' : 'chunk'
}

function end(outcome: SendResult | ClientError, needsReset = false): TransactionEnd {
  return { outcome, needsReset }
}

function isPositive({ code }: ServerReply): boolean {
  return code < 300
}

function isTemporary({ code }: ServerReply): boolean {
  return code >= 400 && code < 500
}
