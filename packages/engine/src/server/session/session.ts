import type { Endpoint, TlsInfo } from '../../duplex.ts'
import type { Envelope, ForwardedClient } from '../../protocol/grammar/envelope.ts'
import type { Hello } from '../../protocol/server/event.ts'

/** The `with` keyword of the trace header (RFC 3848, RFC 6531 4.3). */
export type TransmissionType = 'SMTP' | `${'ESMTP' | 'UTF8SMTP' | 'LMTP' | 'UTF8LMTP'}${'' | 'S'}${'' | 'A'}`

/** What DNS says about the address of a client (RFC 8601 3, "iprev"). */
export interface ReverseDns {
  /**
   * `pass`: the address has this name, and the name has the address. `fail`: the address has names, but none of them has it.
   * `permerror`: it has no name. `temperror`: nobody knew in time.
   */
  readonly result: 'pass' | 'fail' | 'permerror' | 'temperror'
  /** `unknown`, unless the result is `pass`. */
  readonly name: string
}

/** A client's connection, from the greeting to the close. All hooks get the same object, also across transactions. */
export interface Session {
  /** Unique and ordered by time. */
  readonly id: string
  readonly remote: Endpoint
  readonly local: Endpoint
  /**
   * Present if it was looked up. The engine looks nothing up: a hook sets it, best in `connect`. It is in the trace header. If an
   * extension names another client, the engine removes it.
   */
  reverseDns: ReverseDns | undefined
  /** Present once the connection is TLS. */
  readonly tls: TlsInfo | undefined
  /** Present after HELO, EHLO or LHLO. Removed after STARTTLS. */
  readonly hello: Hello | undefined
  /** The user that AUTH named: the answer of the `authenticate` hook. */
  readonly user: string | undefined
  /** The client that sent the next message first, if a trusted client has named it by XFORWARD. Removed after the message. */
  readonly forwarded: ForwardedClient | undefined
  /** Present inside a transaction. */
  readonly envelope: Envelope | undefined
  /** How many messages of this session were accepted. */
  readonly messagesAccepted: number
  readonly transmissionType: TransmissionType
  /** The error that broke the connection, if there was one. */
  readonly error: unknown
  /**
   * Aborted when the session ends, for any reason. While a hook runs, it is aborted as soon as the connection is known to have closed.
   * It is not aborted when the client has only finished sending, because the client may still take replies.
   */
  readonly signal: AbortSignal
  /** Hooks may keep here what they know of this client. */
  readonly notes: Map<unknown, unknown>
}
