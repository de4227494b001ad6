/** All extensions of one server: it finds the extension that defines a parameter or a verb, and it makes the reply to EHLO. */
import type { Envelope, ForwardPath } from '../grammar/envelope.ts'
import type { ExtensionContext, ProtocolExtension, VerbRules } from './extension.ts'
import { OptionError } from '../limits.ts'
import type { KnownParameter } from './parameters.ts'
import { type Reply, reply } from '../grammar/reply.ts'

/** Replies to EHLO usually differ only by TLS and AUTH. An extension may vary more, so at most this many are kept. */
const MAX_REMEMBERED_REPLIES = 64
const KEYWORD = /^[A-Z0-9][A-Z0-9-]*$/

export class ExtensionSet {
  /** By upper-case keyword. If two extensions define a parameter, the later one counts. */
  readonly mail: ReadonlyMap<string, KnownParameter<Envelope>>
  readonly rcpt: ReadonlyMap<string, KnownParameter<ForwardPath>>
  /** Verbs of all extensions. If two extensions define a verb, the later one counts. */
  readonly verbs: ReadonlyMap<string, VerbRules>
  /** Octets that extensions add to the longest line of a verb. */
  readonly lineOctets: ReadonlyMap<string, number>

  readonly #extensions: readonly ProtocolExtension[]
  /** Extensions whose line in the EHLO reply can change. */
  readonly #varying: readonly ProtocolExtension[]
  readonly #replies = new Map<string, Reply>()

  /** @throws OptionError if a keyword is malformed or given twice */
  constructor(extensions: readonly ProtocolExtension[]) {
    const keywords = new Set<string>()
    const mail = new Map<string, KnownParameter<Envelope>>()
    const rcpt = new Map<string, KnownParameter<ForwardPath>>()
    const lineOctets = new Map<string, number>()
    for (const extension of extensions) {
      const { keyword } = extension
      if (!KEYWORD.test(keyword)) throw new OptionError('extensions', keyword, 'an upper-case EHLO keyword')
      if (keywords.has(keyword)) throw new OptionError('extensions', keyword, 'given only once')
      keywords.add(keyword)
      for (const [parameter, rule] of Object.entries(extension.mail ?? {})) mail.set(parameter, { rule, extension })
      for (const [parameter, rule] of Object.entries(extension.rcpt ?? {})) rcpt.set(parameter, { rule, extension })
      for (const [verb, octets] of Object.entries(extension.lineOctets ?? {})) {
        lineOctets.set(verb, (lineOctets.get(verb) ?? 0) + octets)
      }
    }
    this.#extensions = extensions
    this.#varying = extensions.filter(({ advertise }) => advertise !== undefined)
    this.mail = mail
    this.rcpt = rcpt
    this.lineOctets = lineOctets
    this.verbs = new Map(extensions.flatMap(({ verbs }) => Object.entries(verbs ?? {})))
  }

  /** Returns the reply to EHLO (RFC 5321 4.1.1.1). */
  ehloReply(firstLine: string, context: ExtensionContext): Reply {
    // Asks each extension once, because its answer may differ the next time.
    const said: (string | null | undefined)[] = []
    let key = firstLine
    for (const extension of this.#varying) {
      const parameters = extension.advertise?.(context)
      said.push(parameters)
      key += parameters === null ? '\n\0' : `\n${parameters}`
    }
    let known = this.#replies.get(key)
    if (known === undefined) {
      const lines = this.#extensions.flatMap((extension) =>
        advertised(extension, extension.advertise === undefined ? '' : said.shift()),
      )
      known = reply(250, '', [firstLine, ...lines])
      if (this.#replies.size < MAX_REMEMBERED_REPLIES) this.#replies.set(key, known)
    }
    return known
  }
}

/** Returns the extension's line in the reply to EHLO; undefined if it has none. */
function advertised({ keyword }: ProtocolExtension, parameters: string | null | undefined): readonly string[] {
  if (parameters === null) return []
  return [parameters === '' ? keyword : `${keyword} ${parameters}`]
}
