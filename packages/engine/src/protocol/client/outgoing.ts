/** The envelope of a message to be sent, and what became of it. */
import type { BodyType, DsnNotify } from '../grammar/envelope.ts'
import type { ServerReply } from './server-reply.ts'

export interface OutgoingEnvelope {
  /** The sender's address, without angle brackets; '' for the null reverse-path. */
  readonly reversePath: string
  readonly forwardPaths: readonly (string | OutgoingRecipient)[]
  /** Default: what the bytes are; '8BITMIME' for a stream, if the server offers it. */
  readonly bodyType?: BodyType
  /** True in any case if a local part needs it. Default: true if a header of a message needs it that is given as bytes. */
  readonly smtpUtf8?: boolean
  /** The size to declare (RFC 1870). Default: the length of a message that is given as bytes. */
  readonly size?: number
  /** How much of the message a report should contain (RFC 3461 4.3). */
  readonly ret?: 'FULL' | 'HDRS'
  /** RFC 3461 4.4. */
  readonly envelopeId?: string
  /** Every server on the way must use TLS and check the certificate of the next one (RFC 8689). */
  readonly requireTls?: boolean
  /** From -9, the lowest, to 9 (RFC 6710). */
  readonly priority?: number
  /** RFC 2852. With 'return' the server must know DELIVERBY. */
  readonly deliverBy?: OutgoingDeadline
  /** Seconds for which the server holds the message (RFC 4865). */
  readonly holdFor?: number
  /** The server holds the message until this time (RFC 4865). */
  readonly holdUntil?: Date
}

export interface OutgoingDeadline {
  readonly seconds: number
  readonly mode: 'return' | 'notify'
  readonly trace?: boolean
}

export interface OutgoingRecipient {
  /** Without angle brackets. */
  readonly address: string
  /** The events for which the sender wants a report (RFC 3461 4.1). */
  readonly notify?: readonly DsnNotify[]
  /** The address that the sender originally wrote (RFC 3461 4.2). */
  readonly originalRecipient?: { readonly type: string; readonly address: string }
}

export interface RecipientOutcome {
  readonly address: string
  /** True if the server has the message for this recipient. */
  readonly isAccepted: boolean
  readonly reply: ServerReply
  /** The command that the reply answers: RCPT; DATA or BDAT; the end of the message. */
  readonly stage: 'rcpt' | 'data' | 'final'
}

export interface SendResult {
  /** In the order of `forwardPaths`. */
  readonly recipients: readonly RecipientOutcome[]
  /** The reply to the message; in LMTP the first that accepts it. */
  readonly reply: ServerReply
}
