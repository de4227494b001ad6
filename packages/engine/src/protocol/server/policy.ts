/** The protocol's options of a server and of one session. */
import type { ConnectionFact, ExtensionContext } from '../extensions/extension.ts'
import type { ExtensionSet } from '../extensions/set.ts'
import type { BareLineEndings } from '../framing/text.ts'
import type { Limits } from '../limits.ts'
import type { Allowance } from './allowance.ts'
import type { AuthRules } from './auth.ts'
import type { Gate } from './gate.ts'
import type { TransactionRules } from './transaction.ts'

/** The options that all sessions of a server share. */
export interface ProtocolOptions extends TransactionRules, AuthRules {
  /** The first line of the reply to HELO, EHLO and LHLO: the host name, and text behind it. */
  readonly helloLine: string
  readonly limits: Limits
  readonly extensions: ExtensionSet
  readonly bareLineEndings: BareLineEndings
  readonly gate: Gate
  /** Bounds the envelopes of all sessions. */
  readonly envelopes: Allowance
  /** Returns the time, in milliseconds since 1970. */
  now(): number
}

/** The options of one session. */
export interface SessionPolicy {
  readonly isSecure: boolean
  readonly canStartTls: boolean
  readonly facts: readonly ConnectionFact[]
  readonly tlsRequired: boolean
  readonly authRequired: boolean
  /** Refuses AUTH, and does not offer it. */
  readonly isAuthOff: boolean
  /** LMTP (RFC 2033) instead of SMTP. */
  readonly isLmtp: boolean
  /** The client. Its address may change. */
  readonly client: Pick<ExtensionContext, 'remote'>
  /** Default: the server's. */
  readonly maxMessageBytes?: number | undefined
  /** Default: the server's. */
  readonly addresses?: TransactionRules['addresses'] | undefined
  /** Gets each command line, without credentials. */
  readonly observe?: ((line: string) => void) | undefined
}
