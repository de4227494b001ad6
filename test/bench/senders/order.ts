/** The orders to a sender, and its answers: one line of JSON each. */

export interface SenderOrder {
  readonly port: number
  readonly messages: number
  readonly messageBytes: number
  /** The message is given in pieces of 64 KiB, not as a whole. */
  readonly isStream: boolean
  /** Messages that are sent at the same time. */
  readonly atOnce: number
  /** Each message has a connection of its own. Otherwise as many connections as messages at once serve all messages of all orders. */
  readonly isConnectionEach: boolean
}

export interface SenderOutcome {
  readonly wallMs: number
  readonly error?: string
}
