/**
 * Whether a command may be sent at all: is it known, on, short enough, and are TLS and AUTH where they must be.
 *
 * What depends on the server alone is put together once, a rule for each verb; so a command costs one look-up.
 */
import { upperCase } from '../bytes/ascii.ts'
import type { ExtensionSet } from '../extensions/set.ts'
import * as replies from '../grammar/replies.ts'
import type { Reply } from '../grammar/reply.ts'
import type { Limits } from '../limits.ts'
import { movesBy, movesFor, type Verb } from './state.ts'
import { extensionVerb, VERBS, type VerbRule, type Visitor } from './verbs.ts'

export class Gate {
  /** The longest line that any verb may have. */
  readonly maxLineOctets: number
  readonly #maxCommandLineOctets: number
  readonly #rules: ReadonlyMap<string, VerbRule>

  /** @param verbsOff Verbs that are known and off. */
  constructor(limits: Limits, extensions: ExtensionSet, verbsOff: ReadonlySet<string>) {
    const { maxCommandLineOctets, maxAuthLineOctets } = limits
    const { verbs: brought, lineOctets } = extensions
    const rules = [...new Set([...Object.keys(VERBS), ...brought.keys()])].map((verb): VerbRule => {
      const own = Object.hasOwn(VERBS, verb) ? (verb as Verb) : undefined
      const rulesOfVerb = brought.get(verb) ?? {}
      const entry = own === undefined ? extensionVerb(rulesOfVerb) : VERBS[own]
      return {
        verb,
        entry,
        isOff: verbsOff.has(verb) || (entry.needsExtension === true && !brought.has(verb)),
        maxLineOctets: entry.isAuth === true ? maxAuthLineOctets : maxCommandLineOctets + (lineOctets.get(verb) ?? 0),
        moves: own === undefined ? movesBy(rulesOfVerb) : movesFor(own),
      }
    })
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
  refusal({ entry, isOff, maxLineOctets }: VerbRule, lineOctets: number, visitor: Visitor): Reply | undefined {
    if (lineOctets > maxLineOctets) return replies.LINE_TOO_LONG
    const refusal = entry.refusal?.(visitor)
    if (refusal !== undefined) return refusal
    if (isOff) return replies.COMMAND_OFF
    if (visitor.isTlsMissing && entry.isBeforeTls !== true) return replies.TLS_REQUIRED
    if (visitor.isAuthMissing && entry.isBeforeAuth !== true) return replies.AUTH_REQUIRED
    return undefined
  }

  /** The same for a verb that nobody knows. */
  refusalOfUnknown(verb: string, lineOctets: number): Reply {
    if (lineOctets > this.#maxCommandLineOctets) return replies.LINE_TOO_LONG
    return /^[\x21-\x7e]*$/.test(verb) ? replies.UNKNOWN_COMMAND : replies.NOT_ASCII
  }
}
