/** The extensions of one server, put together: who knows a parameter, who brings a verb, what EHLO says. */
import type { Envelope, ForwardPath } from '../grammar/envelope.ts'
import type { ExtensionContext, ProtocolExtension, VerbRules } from './extension.ts'
import { OptionError } from '../limits.ts'
import type { KnownParameter } from './parameters.ts'
import { type Reply, reply } from '../grammar/reply.ts'

/** EHLO replies differ by TLS and AUTH alone, unless an extension varies more: then this many are remembered. */
const MAX_REMEMBERED_REPLIES = 64
const KEYWORD = /^[A-Z0-9][A-Z0-9-]*$/

export class ExtensionSet {
  /** By upper-case keyword. Where two extensions know a parameter, the later one decides. */
  readonly mail: ReadonlyMap<string, KnownParameter<Envelope>>
  readonly rcpt: ReadonlyMap<string, KnownParameter<ForwardPath>>
  /** Verbs that some extension brings. Where two bring one, the later one decides. */
  readonly verbs: ReadonlyMap<string, VerbRules>
  /** Octets that extensions add to the longest line of a verb. */
  readonly lineOctets: ReadonlyMap<string, number>

  readonly #extensions: readonly ProtocolExtension[]
  /** Those whose line is not always the same. */
  readonly #varying: readonly ProtocolExtension[]
  readonly #replies = new Map<string, Reply>()

  /** @throws OptionError on a keyword that is malformed or stands twice. */
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

  /** The reply to EHLO (RFC 5321 4.1.1.1). */
  ehloReply(hostname: string, context: ExtensionContext): Reply {
    // Asked once: what it says may be another thing each time.
    const said: (string | null | undefined)[] = []
    let key = hostname
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
      known = reply(250, '', [hostname, ...lines])
      if (this.#replies.size < MAX_REMEMBERED_REPLIES) this.#replies.set(key, known)
    }
    return known
  }
}

/** Its line in the reply to EHLO, or none. */
function advertised({ keyword }: ProtocolExtension, parameters: string | null | undefined): readonly string[] {
  if (parameters === null) return []
  return [parameters === '' ? keyword : `${keyword} ${parameters}`]
}
