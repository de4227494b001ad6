/**
 * Whether a command may be sent at all: is it known, on, short enough, and are TLS and AUTH where they must be.
 *
 * What depends on the server alone is put together once, a rule for each verb; so a command costs one look-up.
 */
import { upperCase } from '../bytes/ascii.ts'
import type { ExtensionSet } from '../extensions/set.ts'
import type { Limits } from '../limits.ts'
import * as replies from '../grammar/replies.ts'
import type { Reply } from '../grammar/reply.ts'
import { BEFORE_AUTH, BEFORE_TLS, type Moves, VERBS, movesFor } from './state.ts'

/** Verbs of the engine that are off unless an extension brings them. */
const NEEDS_EXTENSION: ReadonlySet<string> = new Set(['BDAT', 'STARTTLS', 'AUTH'])

/** What the gate must know of a session. */
export interface Visitor {
  readonly isSecure: boolean
  readonly canStartTls: boolean
  readonly isTlsMissing: boolean
  readonly isAuthMissing: boolean
}

/** What one server makes of one verb. */
export interface VerbRule {
  /** In upper case. */
  readonly verb: string
  readonly isOff: boolean
  /** Of its line, CRLF included. */
  readonly maxLineOctets: number
  readonly mayComeBeforeTls: boolean
  readonly mayComeBeforeAuth: boolean
  readonly moves: Moves
}

export class Gate {
  /** The longest line that any verb may have. */
  readonly maxLineOctets: number
  readonly #maxCommandLineOctets: number
  readonly #rules: ReadonlyMap<string, VerbRule>

  /** @param verbsOff Verbs that are known and off. */
  constructor(limits: Limits, extensions: ExtensionSet, verbsOff: ReadonlySet<string>) {
    const { maxCommandLineOctets, maxAuthLineOctets } = limits
    const { verbs: brought, lineOctets } = extensions
    const rules = [...new Set([...VERBS, ...brought])].map((verb): VerbRule => ({
      verb,
      isOff: verbsOff.has(verb) || (NEEDS_EXTENSION.has(verb) && !brought.has(verb)),
      maxLineOctets: verb === 'AUTH' ? maxAuthLineOctets : maxCommandLineOctets + (lineOctets.get(verb) ?? 0),
      mayComeBeforeTls: BEFORE_TLS.has(verb),
      mayComeBeforeAuth: BEFORE_AUTH.has(verb),
      moves: movesFor(verb),
    }))
    this.maxLineOctets = maxCommandLineOctets + Math.max(0, ...lineOctets.values())
    this.#maxCommandLineOctets = maxCommandLineOctets
    this.#rules = new Map(rules.map((rule) => [rule.verb, rule]))
  }

  /** The rule of a verb, in whatever case it was written; undefined where nobody knows it. */
  ruleOf(verb: string): VerbRule | undefined {
    return this.#rules.get(verb) ?? this.#rules.get(upperCase(verb))
  }

  /**
   * Why a command may not be sent; undefined where the state table is to say.
   *
   * @param lineOctets Of its line, CRLF included.
   */
  refusal(rule: VerbRule, lineOctets: number, visitor: Visitor): Reply | undefined {
    if (lineOctets > rule.maxLineOctets) return replies.LINE_TOO_LONG
    if (rule.verb === 'STARTTLS' && visitor.isSecure) return replies.TLS_ACTIVE
    if (rule.isOff || (rule.verb === 'STARTTLS' && !visitor.canStartTls)) return replies.COMMAND_OFF
    if (visitor.isTlsMissing && !rule.mayComeBeforeTls) return replies.TLS_REQUIRED
    if (visitor.isAuthMissing && !rule.mayComeBeforeAuth) return replies.AUTH_REQUIRED
    return undefined
  }

  /** The same for a verb that nobody knows. */
  refusalOfUnknown(verb: string, lineOctets: number): Reply {
    if (lineOctets > this.#maxCommandLineOctets) return replies.LINE_TOO_LONG
    return /^[\x21-\x7e]*$/.test(verb) ? replies.UNKNOWN_COMMAND : replies.NOT_ASCII
  }
}
