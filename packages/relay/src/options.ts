/** What a relay is made of, what it takes, and what it tells. */
import type { Client } from '@postern/engine/client'
import type { Result } from './delivery/attempt.ts'
import type { CongestionOptions } from './delivery/congestion.ts'
import type { ConnectionsOptions } from './delivery/connections.ts'
import type { Hop, Router } from './delivery/hop.ts'
import type { Pieces } from './pieces.ts'
import type { NewRecipient, QueueEnvelope } from './queue/entry.ts'
import type { Claim, Queue, RecipientResult } from './queue/queue.ts'
import type { DueReport } from './report/index.ts'
import type { ScheduleOptions } from './schedule.ts'
import type { Spool } from './spool.ts'

export interface RelayOptions {
  /** The name of this server, in EHLO and in reports. */
  readonly hostname: string
  readonly queue: Queue
  readonly spool: Spool
  readonly router: Router
  /** Connects to a hop and greets it. `isInClear`: its handshake has failed, and TLS is only a wish. @throws ClientError */
  connect(hop: Hop, isInClear: boolean, signal: AbortSignal): Promise<Client>
  /** Returns the destination of a recipient: the domain as it is looked up, or {@link LOCAL}. */
  destinationOf(address: string): string | Promise<string>
  /** Keeps mail for recipients of this server, such as reports to its users. Default: there are none. */
  keepHere?(mail: MailHere): Promise<readonly KeptHere[]>
  /** Returns what takes the mail for a destination in place of a server of mail, such as a webhook. Default: nothing does. */
  handOver?(destination: string): ((mail: HandedOver) => Promise<readonly KeptHere[]>) | undefined
  /** Makes ids of reports: from 16 to 64 letters and digits that nobody can guess. */
  makeId(): string
  /** Rewrites the reverse-path of a message that a domain forwards. Default: it stays as it is. */
  rewriteSender?(reversePath: string, forwardedBy: string): string
  /** Returns what is put on top of a message, such as signatures. It may read the message. Default: nothing. */
  sign?(open: () => Pieces, claim: Pick<Claim, 'destination' | 'envelope'>): Promise<Uint8Array>
  readonly schedule?: ScheduleOptions | undefined
  readonly congestion?: CongestionOptions | undefined
  readonly connections?: ConnectionsOptions | undefined
  /** Deliveries at the same time. Default 50. */
  readonly maxDeliveries?: number | undefined
  /** Recipients of one transaction. Default 100, which every server takes (RFC 5321 4.5.3.1.8). */
  readonly maxRecipients?: number | undefined
  /**
   * At its start, the relay removes messages without an entry that are older. Default 1 hour, for processes that share a spool. With
   * 0 it removes all that an earlier process has left.
   */
  readonly orphanAgeMs?: number | undefined
  readonly events?: RelayEvents | undefined
}

/** The destination of mail that stays on this server. */
export const LOCAL = 'local'

/** A message for recipients of this server. */
export interface MailHere {
  readonly envelope: QueueEnvelope
  readonly addresses: readonly string[]
  open(): Pieces
}

/** A message that is handed to something that is no server of mail. */
export interface HandedOver {
  /** The message's id. */
  readonly id: string
  readonly envelope: QueueEnvelope
  readonly recipients: readonly { readonly address: string; readonly index: number }[]
  /** Aborted when the relay stops. */
  readonly signal: AbortSignal
  open(): Pieces
}

/** What became of one of them. */
export type KeptHere = Pick<Result, 'state' | 'code' | 'enhancedCode' | 'text'>

/** What the relay tells, for a log. None may throw. */
export interface RelayEvents {
  /** An attempt is over and recorded. */
  attempted?(claim: Claim, results: readonly RecipientResult[], dueAt: number | undefined): void
  hopFailed?(hop: Hop, error: Error): void
  /** The whole message was sent, and the reply to it got lost. It is sent again, so recipients may get it twice (RFC 1047). */
  unanswered?(claim: Claim): void
  /** A report was put into the queue. */
  reported?(claim: Claim, report: DueReport, id: string): void
  /** Something failed that is the relay's own: the queue, the spool, or a bug. The message stays in the queue. */
  failed?(error: unknown): void
}

/** A recipient of a message that is sent on. Default of the destination: what `destinationOf` returns. */
export type SentRecipient = Omit<NewRecipient, 'destination'> & Partial<Pick<NewRecipient, 'destination'>>

/** A message that is to be sent on. */
export interface NewMail {
  /** Names the message and its entry: at most 128 letters and digits. */
  readonly id: string
  readonly envelope: Omit<QueueEnvelope, 'size'>
  /** There may be none if there are copies. */
  readonly recipients: readonly SentRecipient[]
  readonly pieces: Pieces
  /** Called when the message is durable, before its entry. If it rejects, nothing is kept. */
  before?(open: () => Pieces): Promise<void>
  /**
   * Called when the message is durable. Returns further messages, such as forwarded ones. Their entries become durable together with the
   * one of this message. If it rejects, nothing is kept.
   */
  copies?(open: () => Pieces): Promise<readonly NewCopy[]>
}

/** A message that is made of another one. */
export type NewCopy = Omit<NewMail, 'before' | 'copies'>
