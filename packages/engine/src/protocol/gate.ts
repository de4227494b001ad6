/** Whether a command may be sent at all: is it known, on, short enough, and are TLS and AUTH where they must be. */
import type { ExtensionSet } from './extensions/set.ts'
import type { Limits } from './limits.ts'
import * as replies from './replies.ts'
import type { Reply } from './reply.ts'
import { BEFORE_AUTH, BEFORE_TLS, isVerb } from './state.ts'

/** Verbs of the engine that are off unless an extension brings them. */
const NEEDS_EXTENSION: ReadonlySet<string> = new Set(['BDAT', 'STARTTLS', 'AUTH'])

/** What the gate must know of a session. */
export interface Visitor {
  readonly isSecure: boolean
  readonly canStartTls: boolean
  readonly isTlsMissing: boolean
  readonly isAuthMissing: boolean
}

export class Gate {
  readonly #limits: Limits
  readonly #extensions: ExtensionSet
  readonly #verbsOff: ReadonlySet<string>

  /** @param verbsOff Verbs that are known and off. */
  constructor(limits: Limits, extensions: ExtensionSet, verbsOff: ReadonlySet<string>) {
    this.#limits = limits
    this.#extensions = extensions
    this.#verbsOff = verbsOff
  }

  isKnown(verb: string): boolean {
    return isVerb(verb) || this.#extensions.verbs.has(verb)
  }

  /**
   * Why `verb` may not be sent; undefined where the state table is to say.
   *
   * @param lineOctets Of its line, CRLF included.
   */
  refusal(verb: string, lineOctets: number, visitor: Visitor): Reply | undefined {
    if (lineOctets > this.#lineLimit(verb)) return replies.LINE_TOO_LONG
    if (!this.isKnown(verb)) return /^[\x21-\x7e]*$/.test(verb) ? replies.UNKNOWN_COMMAND : replies.NOT_ASCII
    if (verb === 'STARTTLS' && visitor.isSecure) return replies.TLS_ACTIVE
    if (this.#isOff(verb) || (verb === 'STARTTLS' && !visitor.canStartTls)) return replies.COMMAND_OFF
    if (visitor.isTlsMissing && !BEFORE_TLS.has(verb)) return replies.TLS_REQUIRED
    if (visitor.isAuthMissing && !BEFORE_AUTH.has(verb)) return replies.AUTH_REQUIRED
    return undefined
  }

  #isOff(verb: string): boolean {
    return this.#verbsOff.has(verb) || (NEEDS_EXTENSION.has(verb) && !this.#extensions.verbs.has(verb))
  }

  #lineLimit(verb: string): number {
    if (verb === 'AUTH') return this.#limits.maxAuthLineOctets
    return this.#limits.maxCommandLineOctets + (this.#extensions.lineOctets.get(verb) ?? 0)
  }
}
