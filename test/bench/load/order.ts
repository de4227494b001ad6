/** What the load generator is told and what it answers: one line of JSON each. */

/** How a message's commands are sent. */
export type Mode =
  /** Each command waits for its reply. */
  | 'lockstep'
  /** MAIL, RCPT and DATA in one write, then the text (RFC 2920). */
  | 'pipelined'
  /** MAIL, RCPT, BDAT LAST and the chunk in one write (RFC 3030). */
  | 'bdat'

/** What sessions say. */
export interface Talk {
  readonly mode: Mode
  /** Of the message's text, dots that were doubled not counted. */
  readonly messageBytes: number
  readonly recipients: number
  /** Fields of the message's header, besides From, To, Subject and Date. */
  readonly moreFields: number
  /** STARTTLS, and AUTH PLAIN behind it. */
  readonly secure: boolean
}

/** So many messages, as fast as they go. */
export interface SendOrder {
  readonly kind: 'send'
  readonly port: number
  readonly talk: Talk
  /** At the same time. */
  readonly sessions: number
  readonly messages: number
  /** Then QUIT, and the session goes on with another connection. 0: as many as there are. */
  readonly messagesPerConnection: number
}

/** Messages that begin at fixed times, whatever became of those before. */
export interface PaceOrder extends Omit<SendOrder, 'kind' | 'messagesPerConnection'> {
  readonly kind: 'pace'
  readonly messagesPerSecond: number
}

/** Connections that say EHLO and then nothing, until the release. */
export interface HoldOrder {
  readonly kind: 'hold'
  readonly port: number
  readonly connections: number
}

export interface ReleaseOrder {
  readonly kind: 'release'
}

export type Order = SendOrder | PaceOrder | HoldOrder | ReleaseOrder

/** What came of an order. A single wrong reply, or a connection that broke, is an `error`, and no figure. */
export interface Outcome {
  readonly error?: string
  /** 250s behind the text. */
  readonly messages: number
  readonly wallMs: number
  /** Of `pace`: from when a message was due until its 250. */
  readonly p50Ms?: number
  readonly p99Ms?: number
}
