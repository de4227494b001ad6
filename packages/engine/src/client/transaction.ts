/** Sends one message: MAIL, RCPT, the bytes, and what became of each recipient. */
import type { ServerInfo } from '../protocol/client/capabilities.ts'
import type { OutgoingEnvelope, RecipientOutcome, SendResult } from '../protocol/client/outgoing.ts'
import { type MessageFacts, type Plan, planTransaction } from '../protocol/client/plan.ts'
import { replyText, type ServerReply } from '../protocol/client/server-reply.ts'
import { TextWriter } from '../protocol/client/text-writer.ts'
import { type Channel, refusal } from './channel.ts'
import { type GroupedCommand, sendGroup } from './commands.ts'
import { ClientError, type ClientStage } from './error.ts'
import { chunksOf, factsOf, type OutgoingMessage, wholeMessage } from './message.ts'

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

const START_MAIL_INPUT = 354
const PIECE_OCTETS = 65_536
const NOTHING = new Uint8Array(0)
const END_OF_TEXT = Uint8Array.of(46, 13, 10)
const UNKNOWN_MESSAGE: MessageFacts = { hasUtf8Header: false }

export class Transaction {
  readonly #deps: TransactionDeps
  readonly #channel: Channel
  readonly #addresses: readonly string[]
  readonly #message: OutgoingMessage
  readonly #options: SendOptions
  readonly #plan: Plan
  /** The replies to RCPT. */
  readonly #rcpts: ServerReply[] = []
  #mail: ServerReply | undefined
  /** All of the message was given to the connection. */
  #isSent = false

  /** @throws TypeError if the envelope is not valid; ClientError if the server does not offer what the message needs */
  constructor(deps: TransactionDeps, envelope: OutgoingEnvelope, message: OutgoingMessage, options: SendOptions) {
    this.#deps = deps
    this.#channel = deps.channel
    this.#addresses = envelope.forwardPaths.map((path) => (typeof path === 'string' ? path : path.address))
    this.#options = options
    const whole = wholeMessage(message)
    this.#message = whole ?? message
    const facts = whole === undefined ? UNKNOWN_MESSAGE : factsOf(whole)
    const { tls } = deps.channel.duplex
    const plan = planTransaction(envelope, facts, deps.server, { isVerified: tls?.peerCertificate?.verified === true })
    if ('lacks' in plan) throw new ClientError(plan.lacks, { reason: 'unsupported', stage: 'mail' })
    this.#plan = plan
  }

  async run(): Promise<TransactionEnd> {
    try {
      return await this.#run()
    } catch (error) {
      throw this.#channel.failure === error ? this.#lost(error as ClientError) : error
    }
  }

  async #run(): Promise<TransactionEnd> {
    const data = await this.#open()
    if (data instanceof ClientError)
      return { outcome: data, needsReset: this.#mail !== undefined && isPositive(this.#mail) }
    const channel = this.#channel
    channel.assertReady('message')
    await this.#sendText()
    const final = await channel.reply('final', channel.timeouts.finalMs)
    return { outcome: this.#judge(final), needsReset: false }
  }

  /** Sends the commands up to DATA. Returns why the message cannot be sent; undefined if the server waits for it. */
  async #open(): Promise<ClientError | undefined> {
    const channel = this.#channel
    const { mailMs, rcptMs, dataMs, commandMs } = channel.timeouts
    const reset: GroupedCommand[] = this.#deps.needsReset ? [{ line: 'RSET', stage: 'command', ms: commandMs }] : []
    const commands: readonly GroupedCommand[] = [
      ...reset,
      { line: this.#plan.mail, stage: 'mail', ms: mailMs },
      ...this.#plan.rcpts.map((line): GroupedCommand => ({ line, stage: 'rcpt', ms: rcptMs })),
    ]
    const isPipelining = this.#deps.server.extensions.has('PIPELINING')
    await sendGroup(channel, commands, isPipelining, NOTHING, (reply, index) => {
      const stage = (commands[index] as GroupedCommand).stage
      this.#take(stage, reply)
    })
    const mail = this.#mail
    if (mail === undefined || !isPositive(mail)) return refusal(channel, 'mail', mail as ServerReply)
    const refused = this.#refusedByAll()
    if (refused !== undefined) return refused
    channel.assertReady('data')
    void channel.command('DATA')
    const data = await channel.reply('data', dataMs)
    if (data.code === START_MAIL_INPUT) return undefined
    return this.#refusedWith(data, 'data')
  }

  #take(stage: ClientStage, reply: ServerReply): void {
    if (reply.code >= 300 && reply.code < 400) throw refusal(this.#channel, stage, reply)
    if (stage === 'mail') this.#mail = reply
    else if (stage === 'rcpt') this.#rcpts.push(reply)
  }

  #refusedByAll(): ClientError | undefined {
    if (this.#rcpts.some(isPositive)) return undefined
    const reply = this.#rcpts.find(({ code }) => code < 500) ?? (this.#rcpts[0] as ServerReply)
    return new ClientError(`the server refused every recipient: ${replyText(reply)}`, {
      reason: 'refused',
      stage: 'rcpt',
      reply,
      recipients: this.#outcomes(),
    })
  }

  /** Sends the text, and the dot behind it. */
  async #sendText(): Promise<void> {
    const channel = this.#channel
    const writer = new TextWriter(true)
    let sent = 0
    for await (const chunk of chunksOf(this.#message)) {
      for (let from = 0; from < chunk.length; from += PIECE_OCTETS) {
        const piece = chunk.subarray(from, from + PIECE_OCTETS)
        await channel.write(writer.write(piece))
        sent += piece.length
        this.#options.onProgress?.(sent)
      }
    }
    await channel.write(writer.end())
    this.#isSent = true
    await channel.write(END_OF_TEXT)
  }

  #judge(final: ServerReply): SendResult | ClientError {
    if (!isPositive(final)) return this.#refusedWith(final, 'final')
    return { recipients: this.#outcomes(final, 'final'), reply: final }
  }

  #refusedWith(reply: ServerReply, stage: 'data' | 'final'): ClientError {
    const { message } = refusal(this.#channel, stage, reply)
    if (this.#channel.failure !== undefined) throw this.#channel.failure
    return new ClientError(message, { reason: 'refused', stage, reply, recipients: this.#outcomes(reply, stage) })
  }

  /** Says what became of each recipient, as far as that is known. */
  #outcomes(later?: ServerReply, stage: 'data' | 'final' = 'final'): RecipientOutcome[] {
    return this.#rcpts.flatMap((rcpt, index): RecipientOutcome[] => {
      const address = this.#addresses[index] as string
      if (!isPositive(rcpt)) return [{ address, isAccepted: false, reply: rcpt, stage: 'rcpt' }]
      return later === undefined ? [] : [{ address, isAccepted: isPositive(later), reply: later, stage }]
    })
  }

  /** Adds to the error of a lost connection what is known of the recipients. */
  #lost(error: ClientError): ClientError {
    const { message, reason, stage, reply, isTemporary, cause } = error
    const mayBeAccepted = this.#isSent
    return new ClientError(message, {
      reason,
      stage,
      reply,
      isTemporary,
      mayBeAccepted,
      recipients: this.#outcomes(),
      cause,
    })
  }
}

function isPositive({ code }: ServerReply): boolean {
  return code < 300
}
