/**
 * What an extension is (RFC 5321 2.2): an EHLO keyword with its parameters, parameters of MAIL and RCPT, commands.
 *
 * The built-in ones are made of the same interface, in `extensions/`.
 */
import type { Envelope, ForwardPath } from '../grammar/envelope.ts'
import type { Limits } from '../limits.ts'
import type { Reply } from '../grammar/reply.ts'

/** What an extension can know of the session it is asked about. */
export interface ExtensionContext {
  /** The connection is TLS. */
  readonly isSecure: boolean
  /** The connection can become TLS now, and the server wants to offer it. */
  readonly canStartTls: boolean
  readonly isAuthenticated: boolean
  readonly limits: Limits
  /** The transaction in progress. */
  readonly envelope: Envelope | undefined
}

export interface ProtocolExtension {
  /** The EHLO keyword, in upper case. */
  readonly keyword: string
  /** What stands behind the keyword in the EHLO reply; null: not on offer now. Without this method: always, with nothing. */
  advertise?(context: ExtensionContext): string | null
  /** Parameters of MAIL, by upper-case keyword. */
  readonly mail?: Readonly<Record<string, ParameterRule<Envelope>>>
  /** Parameters of RCPT, by upper-case keyword. */
  readonly rcpt?: Readonly<Record<string, ParameterRule<ForwardPath>>>
  /** The verbs that are off where this extension is, in upper case. The rules count for those that the engine does not know. */
  readonly verbs?: Readonly<Record<string, VerbRules>>
  /** Octets that this extension adds to the longest line of a verb (RFC 5321 4.5.3.1.4): `{ MAIL: 26 }`. */
  readonly lineOctets?: Readonly<Record<string, number>>
}

/** When a verb of an extension's own may come, and what it does to the session. */
export interface VerbRules {
  /** It may come before TLS where TLS is required. Default false. */
  readonly beforeTls?: boolean
  /** It may come before AUTH where AUTH is required. Default false. */
  readonly beforeAuth?: boolean
  /** It may come within a transaction; otherwise it gets 503 there. Default true. */
  readonly inTransaction?: boolean
  /** Default 'none'. */
  readonly effect?: VerbEffect
}

/** What a command does to the session if it is accepted. */
export type VerbEffect =
  /** Nothing. */
  | 'none'
  /** It gives up the transaction, as RSET does. */
  | 'reset'
  /** It is a greeting, as EHLO is: its argument is the client's name, and it gives up the transaction. So is LHLO (RFC 2033). */
  | 'hello'
  /** The session is as it was before its greeting: no name, no transaction, no login. So it is after XCLIENT. */
  | 'restart'

export const VERB_EFFECTS: readonly VerbEffect[] = ['none', 'reset', 'hello', 'restart']

/** One parameter of MAIL or RCPT. */
export interface ParameterRule<Target> {
  readonly value: 'required' | 'optional' | 'none'
  /** How the value is written; undone before `apply` and in {@link ReversePath.parameters}. Default: as it is. */
  readonly encoding?: 'xtext'
  /**
   * The parameter only advises: if its value is malformed, the command is taken all the same, the value is kept as it came, and the
   * keyword is in {@link PathWithParameters.malformedParameters}. Only a value that hides a control character is refused. Default false.
   */
  readonly advisory?: boolean
  /** Checks the value, and records in `target` what it means. A reply refuses the command. */
  apply?(value: string, target: Target, context: ExtensionContext): Reply | undefined
}
