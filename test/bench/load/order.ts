/** The orders to the load generator, and its answers: one line of JSON each. */

/** How a message's commands are sent. */
export type Mode =
  /** Each command waits for its reply. */
  | 'lockstep'
  /** MAIL, RCPT and DATA in one write, then the text (RFC 2920). */
  | 'pipelined'
  /** MAIL, RCPT, BDAT LAST and the chunk in one write (RFC 3030). */
  | 'bdat'

/** The input of sessions. */
export interface Talk {
  readonly mode: Mode
  /** The size of the message's text, without doubled dots. */
  readonly messageBytes: number
  readonly recipients: number
  /** Fields of the message's header, besides From, To, Subject and Date. */
  readonly moreFields: number
  /** STARTTLS, and AUTH PLAIN behind it. */
  readonly secure: boolean
}

/** Sends this many messages, as fast as possible. */
export interface SendOrder {
  readonly kind: 'send'
  readonly port: number
  readonly talk: Talk
  /** At the same time. */
  readonly sessions: number
  readonly messages: number
  /** After these, QUIT. The session then goes on with another connection. 0: all messages in one connection. */
  readonly messagesPerConnection: number
}

/** Messages that begin at fixed times, whatever the result of earlier ones. */
export interface PaceOrder extends Omit<SendOrder, 'kind' | 'messagesPerConnection'> {
  readonly kind: 'pace'
  readonly messagesPerSecond: number
}

/** Connections that send EHLO and then nothing, until the release. */
export interface HoldOrder {
  readonly kind: 'hold'
  readonly port: number
  readonly connections: number
}

export interface ReleaseOrder {
  readonly kind: 'release'
}

export type Order = SendOrder | PaceOrder | HoldOrder | ReleaseOrder

/** The result of an order. A single wrong reply, or a broken connection, is an `error`, and gives no figure. */
export interface Outcome {
  readonly error?: string
  /** 250s behind the text. */
  readonly messages: number
  readonly wallMs: number
  /** Of `pace`: from when a message was due until its 250. */
  readonly p50Ms?: number
  readonly p99Ms?: number
}
