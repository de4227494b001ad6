/** What a queue has: entries, their deliveries, and the recipients of each delivery. All times are milliseconds since 1970. */
import type { BodyType, DsnNotify, OriginalRecipient } from '@postern/engine'

/** What a caller adds: one message with its recipients. */
export interface NewEntry {
  /**
   * Names the entry: 1 to 128 of `A-Z a-z 0-9 . _ -`. An entry whose id the queue already has is not added again, so a
   * caller may repeat an `add` that failed.
   */
  readonly id: string
  /** The id of the stored message. Several entries may send the same message. */
  readonly messageId: string
  readonly queuedAt: number
  readonly envelope: QueueEnvelope
  /** 1 to 10,000. */
  readonly recipients: readonly NewRecipient[]
}

/** What the sender asked for, for the whole message. */
export interface QueueEnvelope {
  /** '' for the null reverse-path. */
  readonly reversePath: string
  readonly body: BodyType
  readonly smtpUtf8: boolean
  /** The size of the stored message, in bytes. */
  readonly size?: number | undefined
  /** RFC 3461 4.3. */
  readonly ret?: 'FULL' | 'HDRS' | undefined
  /** RFC 3461 4.4. */
  readonly envelopeId?: string | undefined
  /** RFC 8689. */
  readonly requireTls?: true | undefined
  /** A report on TLS (RFC 8460): it is delivered whatever is wrong with TLS. */
  readonly isTlsReport?: true | undefined
  /** RFC 6710: -9 to 9. Missing: 0. */
  readonly priority?: number | undefined
  /** RFC 2852. */
  readonly deliverBy?: QueueDeliverBy | undefined
  /** The domain that forwards the message. The reverse-path is rewritten for it when the message is sent (SRS). Missing: it is not rewritten. */
  readonly forwardedBy?: string | undefined
  /** What was found out about a forwarded message when it came, for its seal. Missing: nobody looked. */
  readonly arrival?: ArrivalVerdict | undefined
  /** RFC 4865: no delivery is due before this time. */
  readonly holdUntil?: number | undefined
}

/** What a seal of ARC says of a message. */
export interface ArrivalVerdict {
  /** Whether the seals of other servers were valid; `none` if there were none (RFC 8617 4.4). */
  readonly chain: 'none' | 'pass' | 'fail'
  /** What Authentication-Results has behind the name of the server, on one line of ASCII. */
  readonly results: string
}

export interface QueueDeliverBy {
  readonly deadline: number
  readonly mode: 'return' | 'notify'
  readonly trace: boolean
}

export interface NewRecipient {
  readonly address: string
  /**
   * Where the message goes for this recipient: a domain in lower case, or the name of a smarthost. Recipients of one
   * destination are delivered together.
   */
  readonly destination: string
  readonly notify?: readonly DsnNotify[] | undefined
  readonly originalRecipient?: OriginalRecipient | undefined
}

/**
 * `relayed`: the next server has the message, and it takes over the sender's wish for a report of success. `delivered`: the next server
 * has the message, and this server has to report success if the sender wishes that (RFC 3461 5.2). `failed`: this server has given up.
 */
export type RecipientState = 'pending' | 'delivered' | 'relayed' | 'failed'

export interface QueueRecipient {
  readonly address: string
  readonly notify?: readonly DsnNotify[] | undefined
  readonly originalRecipient?: OriginalRecipient | undefined
  readonly state: RecipientState
  /** The number of settled attempts. */
  readonly attempts: number
  /** The result of the last attempt. */
  readonly lastReply?: AttemptReply | undefined
  /** Whether the sender was told that the message is late. */
  readonly isDelayNotified: boolean
}

/** The answer of the other server, or this server's own words for a failed connection. */
export interface AttemptReply {
  readonly at: number
  /** The reply code. 0 if there was no reply. */
  readonly code: number
  /** RFC 3463; '' if there was none. */
  readonly enhancedCode: string
  /** The queue keeps the first 1,000 characters. */
  readonly text: string
  /** The server that answered; '' if none did. */
  readonly host: string
}

/**
 * `waiting`: due later. `due`: its time has come; it may be on its way. `held`: not due until somebody releases it. `finished`: no
 * recipient is pending.
 */
export type DeliveryState = 'waiting' | 'due' | 'held' | 'finished'

/** The recipients of an entry with the same destination. They are tried together. */
export interface QueueDelivery {
  readonly destination: string
  readonly state: DeliveryState
  readonly dueAt: number
  /** The number of settled attempts. */
  readonly attempts: number
  readonly recipients: readonly QueueRecipient[]
}

/** One message in the queue. */
export interface QueueEntry {
  readonly id: string
  readonly messageId: string
  readonly queuedAt: number
  readonly envelope: QueueEnvelope
  /** In the order of their first recipients. */
  readonly deliveries: readonly QueueDelivery[]
}
