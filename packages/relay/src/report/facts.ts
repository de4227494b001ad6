/**
 * What a report tells, and what decides whether one is due: RFC 3461 4 and 6, RFC 3464 2. The fields are those of entries of the
 * queue. All times are milliseconds since 1970.
 */
import type { BodyType, DsnNotify, OriginalRecipient } from '@postern/engine'

/** What the sender asked for. */
export interface ReportedEnvelope {
  /** The sender, who gets the reports. '' is the null reverse-path: it gets none. */
  readonly reversePath: string
  readonly body: BodyType
  readonly smtpUtf8: boolean
  readonly ret?: 'FULL' | 'HDRS' | undefined
  /** ENVID, with its xtext decoded. */
  readonly envelopeId?: string | undefined
  readonly requireTls?: boolean | undefined
  readonly deliverBy?:
    | { readonly deadline: number; readonly mode: 'return' | 'notify'; readonly trace: boolean }
    | undefined
}

/** The message that a report is about. */
export interface ReportedMessage {
  readonly queuedAt: number
  readonly envelope: ReportedEnvelope
}

export interface ReportedAddress {
  readonly address: string
  /** Absent if the sender did not say. */
  readonly notify?: readonly DsnNotify[] | undefined
  readonly originalRecipient?: OriginalRecipient | undefined
}

/**
 * - `delivered`: a server that is the last one has the message, as one of LMTP.
 * - `relayed`: the next server has it.
 * - `delayed`: it is tried again. `failed`: it is not.
 */
export type Action = 'delivered' | 'relayed' | 'delayed' | 'failed'

/** What became of a message for one recipient. */
export interface Outcome {
  readonly action: Action
  /** RFC 3463: '5.1.1'. A failure may have a code of class 4, if the time for retries is over. */
  readonly status: string
  /** Absent if nothing was tried. */
  readonly reply?: OutcomeReply | undefined
  /** If it is delayed: when the last attempt is made. */
  readonly retryUntil?: number | undefined
  /** If it is delayed: the sender has to be told now, as the schedule says (`nextStep`). */
  readonly isDelayNoticeDue?: boolean | undefined
  /** The next server offers DSN and was given NOTIFY, so it sends the reports from now on. */
  readonly passesNotify?: boolean | undefined
}

/** The answer of the other server, which may be hostile, or this server's own words for a failed connection. */
export interface OutcomeReply {
  readonly at: number
  /** 0 if there was no reply. */
  readonly code: number
  /** '' if there was none. */
  readonly enhancedCode: string
  readonly text: string
  /** A host name or an address literal; '' if none answered. */
  readonly host: string
}

/** A recipient in a report. */
export interface ReportedRecipient extends ReportedAddress, Outcome {}
