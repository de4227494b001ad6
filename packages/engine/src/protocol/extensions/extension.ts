/**
 * An extension (RFC 5321 2.2) is an EHLO keyword with its parameters, parameters of MAIL and RCPT, and commands. The built-in
 * extensions use the same interface. They are in `extensions/`.
 */
import type { Envelope, ForwardPath } from '../grammar/envelope.ts'
import type { Limits } from '../limits.ts'
import type { Reply } from '../grammar/reply.ts'

/** What some mechanisms need of a connection: a client certificate that was verified, or channel binding (RFC 5056). */
export type ConnectionFact = 'certificate' | 'channel-binding'

/** What an extension can read of a session. */
export interface ExtensionContext {
  /** The client's address. */
  readonly remote: { readonly family: string; readonly address: string }
  /** The connection is TLS. */
  readonly isSecure: boolean
  /** The connection can become TLS now, and the server wants to offer STARTTLS. */
  readonly canStartTls: boolean
  /** What the connection has that some SASL mechanisms need. */
  readonly facts: readonly ConnectionFact[]
  readonly isAuthenticated: boolean
  /** AUTH is switched off for this session. */
  readonly isAuthOff: boolean
  readonly limits: Limits
  /** The time now, in milliseconds since 1970. */
  readonly nowMs: number
  /** The transaction in progress. */
  readonly envelope: Envelope | undefined
}

export interface ProtocolExtension {
  /** The EHLO keyword, in upper case. */
  readonly keyword: string
  /**
   * Returns the text behind the keyword in the EHLO reply, or null if the extension is not on offer now. Without this method
   * the keyword is always on offer, with no text.
   */
  advertise?(context: ExtensionContext): string | null
  /** Parameters of MAIL, by upper-case keyword. */
  readonly mail?: Readonly<Record<string, ParameterRule<Envelope>>>
  /** Parameters of RCPT, by upper-case keyword. */
  readonly rcpt?: Readonly<Record<string, ParameterRule<ForwardPath>>>
  /** The verbs, in upper case, that work only if this extension is on. The rules apply to verbs that the engine does not know. */
  readonly verbs?: Readonly<Record<string, VerbRules>>
  /** Octets that this extension adds to the longest line of a verb (RFC 5321 4.5.3.1.4): `{ MAIL: 26 }`. */
  readonly lineOctets?: Readonly<Record<string, number>>
}

/** When the verb of an extension may come, and what it does to the session. */
export interface VerbRules {
  /** The argument of the command, as HELP shows it: `ADDR=address`. Default: none. */
  readonly syntax?: string
  /** It may come before TLS if TLS is required. Default false. */
  readonly beforeTls?: boolean
  /** It may come before AUTH if AUTH is required. Default false. */
  readonly beforeAuth?: boolean
  /** It may come within a transaction; otherwise the client gets 503 for it there. Default true. */
  readonly inTransaction?: boolean
  /** Default 'none'. */
  readonly effect?: VerbEffect
}

/** What a command does to the session if it is accepted. */
export type VerbEffect =
  /** Changes nothing. */
  | 'none'
  /** Gives up the transaction, as RSET does. */
  | 'reset'
  /** Greets, as EHLO does: its argument is the client's name, and it gives up the transaction. */
  | 'hello'
  /** Puts the session back to before its greeting: no name, no transaction, no login. XCLIENT is one. */
  | 'restart'

export const VERB_EFFECTS: readonly VerbEffect[] = ['none', 'reset', 'hello', 'restart']

/** One parameter of MAIL or RCPT. */
export interface ParameterRule<Target> {
  readonly value: 'required' | 'optional' | 'none'
  /** How the value is encoded. It is decoded before `apply`, and in {@link ReversePath.parameters}. Default: not encoded. */
  readonly encoding?: 'xtext'
  /**
   * The parameter only advises. If its value is malformed, the command is still accepted, the value is kept unchanged, and the
   * keyword is added to {@link PathWithParameters.malformedParameters}. A value is refused only if it hides a control
   * character. Default false.
   */
  readonly advisory?: boolean
  /** Checks the value, and records in `target` what it means. Returns a reply to refuse the command. */
  apply?(value: string, target: Target, context: ExtensionContext): Reply | undefined
}
