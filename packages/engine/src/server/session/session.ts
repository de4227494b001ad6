import type { Endpoint, TlsInfo } from '../../duplex.ts'
import type { Envelope } from '../../protocol/grammar/envelope.ts'
import type { Hello } from '../../protocol/server/event.ts'

/** The `with` keyword of the trace header (RFC 3848, RFC 6531 4.3). */
export type TransmissionType =
  | 'SMTP'
  | 'ESMTP'
  | 'ESMTPS'
  | 'ESMTPA'
  | 'ESMTPSA'
  | 'UTF8SMTP'
  | 'UTF8SMTPS'
  | 'UTF8SMTPA'
  | 'UTF8SMTPSA'

/** One client's connection, from the greeting to the close. It lives across transactions and is the same object in every hook. */
export interface Session {
  /** Unique and time-ordered. */
  readonly id: string
  readonly remote: Endpoint
  readonly local: Endpoint
  /** Present once the connection is TLS. */
  readonly tls: TlsInfo | undefined
  /** Present after HELO or EHLO; gone again after STARTTLS. */
  readonly hello: Hello | undefined
  /** Who AUTH said this is: what the `authenticate` hook answered. */
  readonly user: string | undefined
  /** Present inside a transaction. */
  readonly envelope: Envelope | undefined
  /** How many messages this session has handed in with success. */
  readonly messagesAccepted: number
  readonly transmissionType: TransmissionType
  /** What broke the connection, if something did. */
  readonly error: unknown
  /** Aborted when the session ends, whatever ended it. */
  readonly signal: AbortSignal
  /** Free for the hooks of one server to keep what they know of this client. */
  readonly notes: Map<unknown, unknown>
}
