import { acrossCopies } from '../copies.ts'
import type { RecipientOutcome } from '../protocol/client/outgoing.ts'
import type { ServerReply } from '../protocol/client/server-reply.ts'

export type ClientErrorReason =
  /** The server said no: `reply` is what it said. */
  | 'refused'
  | 'timeout'
  /** The connection ended or broke. */
  | 'closed'
  /** The server broke the rules of the protocol. */
  | 'protocol'
  /** There is no TLS, although it was asked for, or its handshake failed. */
  | 'tls'
  /** The message or the options need what the server does not offer. */
  | 'unsupported'
  | 'login'
  /** The caller ended it: by a signal, by `destroy`, or because the message's stream failed. */
  | 'aborted'

/** The step that the client was at. 'message' is the message's bytes, 'final' the wait for the reply to them. */
export type ClientStage =
  | 'connect'
  | 'greeting'
  | 'hello'
  | 'starttls'
  | 'auth'
  | 'mail'
  | 'rcpt'
  | 'data'
  | 'message'
  | 'final'
  | 'command'

export interface ClientErrorFacts {
  readonly reason: ClientErrorReason
  readonly stage: ClientStage
  readonly reply?: ServerReply | undefined
  /** Default: what the reply's code says; without a reply, what the reason says. */
  readonly isTemporary?: boolean
  /** Default: the reply's. */
  readonly enhancedCode?: string
  readonly mayBeAccepted?: boolean
  readonly recipients?: readonly RecipientOutcome[]
  readonly cause?: unknown
}

/** A connection, a login or a message failed. */
export class ClientError extends Error {
  static {
    acrossCopies(this, 'ClientError')
  }
  override readonly name = 'ClientError'
  readonly reason: ClientErrorReason
  readonly stage: ClientStage
  readonly reply?: ServerReply
  readonly code?: number
  /** RFC 3463. '' if the reply has none. Without a reply it is missing, but for the reason 'unsupported'. */
  readonly enhancedCode?: string
  /** True for 4xx, and for everything that may go better later. */
  readonly isTemporary: boolean
  /** True if the whole message was sent and its reply was lost: the server may have the message. */
  readonly mayBeAccepted: boolean
  /** What is known of each recipient. A recipient of whom nothing is known is missing. */
  readonly recipients: readonly RecipientOutcome[]

  constructor(message: string, facts: ClientErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    const { reason, stage, reply } = facts
    this.reason = reason
    this.stage = stage
    if (reply !== undefined) {
      this.reply = reply
      this.code = reply.code
      this.enhancedCode = reply.enhancedCode
    }
    if (facts.enhancedCode !== undefined) this.enhancedCode = facts.enhancedCode
    this.isTemporary = facts.isTemporary ?? isTemporary(reason, reply)
    this.mayBeAccepted = facts.mayBeAccepted ?? false
    this.recipients = facts.recipients ?? []
  }
}

function isTemporary(reason: ClientErrorReason, reply: ServerReply | undefined): boolean {
  if (reason === 'unsupported') return false
  if (reason === 'refused' || reason === 'login') return reply !== undefined && reply.code < 500
  return true
}

/** Returns the first line of an error's text. OpenSSL's texts end with a line feed. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split(/[\r\n]/, 1)[0] ?? ''
}
