/** What the protocol is told of a server, and of one session. */
import type { ExtensionSet } from '../extensions/set.ts'
import type { BareLineEndings } from '../framing/text.ts'
import type { Limits } from '../limits.ts'
import type { Allowance } from './allowance.ts'
import type { AuthRules } from './auth.ts'
import type { Gate } from './gate.ts'
import type { TransactionRules } from './transaction.ts'

/** What one server's sessions have in common. */
export interface ProtocolOptions extends TransactionRules, AuthRules {
  readonly hostname: string
  readonly limits: Limits
  readonly extensions: ExtensionSet
  readonly bareLineEndings: BareLineEndings
  readonly gate: Gate
  /** What the envelopes of all sessions may hold. */
  readonly envelopes: Allowance
}

/** What one session is set apart by. */
export interface SessionPolicy {
  readonly isSecure: boolean
  readonly canStartTls: boolean
  readonly tlsRequired: boolean
  readonly authRequired: boolean
  /** Default: those of the server. */
  readonly addresses?: TransactionRules['addresses'] | undefined
  /** Sees each command line, credentials taken out. */
  readonly observe?: ((line: string) => void) | undefined
}
