/**
 * Decides if a command may come at all. It must be known, on and short enough, and TLS and AUTH must be there if they are
 * required.
 * What depends only on the server is put together once for each verb, so a command costs one look-up.
 */
import { upperCase } from '../bytes/ascii.ts'
import type { ExtensionSet } from '../extensions/set.ts'
import * as replies from '../grammar/replies.ts'
import type { Reply } from '../grammar/reply.ts'
import type { Limits } from '../limits.ts'
import type { KnownVerb, Visitor } from './entry.ts'
import { movesBy, movesFor, type Verb } from './state.ts'
import { extensionVerb, VERBS } from './verbs.ts'

/**
 * Verbs that this server knows and does not have, unless an extension brings them. ETRN (RFC 1985) asks a server to send the mail
 * that it holds for the client.
 */
const NOT_HERE: readonly string[] = ['ETRN']

export class Gate {
  /** The longest line that any verb may have. */
  readonly maxLineOctets: number
  readonly #maxCommandLineOctets: number
  readonly #verbs: ReadonlyMap<string, KnownVerb>
  readonly #authRequired: Reply

  /**
   * @param verbsOff Known verbs that are off
   * @param authRequired The refusal of commands before AUTH
   */
  constructor(limits: Limits, extensions: ExtensionSet, verbsOff: ReadonlySet<string>, authRequired: Reply) {
    const { maxCommandLineOctets, maxAuthLineOctets } = limits
    const { verbs: brought, lineOctets } = extensions
    const verbs = [...new Set([...Object.keys(VERBS), ...NOT_HERE, ...brought.keys()])].map((verb): KnownVerb => {
      const own = Object.hasOwn(VERBS, verb) ? (verb as Verb) : undefined
      const rules = brought.get(verb) ?? {}
      const entry = own === undefined ? extensionVerb(rules) : VERBS[own]
      const { announce, read, refusal } = entry
      return {
        verb,
        isOff: verbsOff.has(verb) || ((entry.needsExtension === true || own === undefined) && !brought.has(verb)),
        maxLineOctets: entry.isAuth === true ? maxAuthLineOctets : maxCommandLineOctets + (lineOctets.get(verb) ?? 0),
        moves: own === undefined ? movesBy(rules) : movesFor(own),
        isBeforeTls: entry.isBeforeTls === true,
        isBeforeAuth: entry.isBeforeAuth === true,
        takesNoArgument: entry.takesNoArgument === true,
        leadsOn: entry.leadsOn === true,
        isAuth: entry.isAuth === true,
        refusal,
        read,
        announce,
      } as KnownVerb
    })
    this.maxLineOctets = maxCommandLineOctets + Math.max(0, ...lineOctets.values())
    this.#maxCommandLineOctets = maxCommandLineOctets
    this.#authRequired = authRequired
    this.#verbs = new Map(verbs.map((known) => [known.verb, known]))
  }

  /** Finds a verb, in either case. Returns undefined if the server does not know it. */
  find(verb: string): KnownVerb | undefined {
    return this.#verbs.get(verb) ?? this.#verbs.get(upperCase(verb))
  }

  /**
   * Returns the refusal of a command; undefined if the state table decides.
   *
   * @param lineOctets The octets of its line, CRLF included.
   */
  refusal(known: KnownVerb, lineOctets: number, visitor: Visitor): Reply | undefined {
    if (lineOctets > known.maxLineOctets) return replies.LINE_TOO_LONG
    const refusal = known.refusal?.(visitor)
    if (refusal !== undefined) return refusal
    if (known.isOff) return replies.COMMAND_OFF
    if (visitor.isTlsMissing && !known.isBeforeTls) return replies.TLS_REQUIRED
    if (visitor.isAuthMissing && !known.isBeforeAuth) return this.#authRequired
    return undefined
  }

  /** Returns the refusal of a verb that the server does not know. */
  refusalOfUnknown(verb: string, lineOctets: number): Reply {
    if (lineOctets > this.#maxCommandLineOctets) return replies.LINE_TOO_LONG
    return /^[\x21-\x7e]*$/.test(verb) ? replies.UNKNOWN_COMMAND : replies.NOT_ASCII
  }
}
