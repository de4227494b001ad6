/** The replies to HELP: RFC 5321 4.1.1.8. */
import { upperCase } from '../protocol/bytes/ascii.ts'
import type { ExtensionContext } from '../protocol/extensions/extension.ts'
import type { KnownParameter } from '../protocol/extensions/parameters.ts'
import type { ExtensionSet } from '../protocol/extensions/set.ts'
import { UNKNOWN_TOPIC } from '../protocol/grammar/replies.ts'
import { type Reply, reply } from '../protocol/grammar/reply.ts'
import type { Verb } from '../protocol/server/state.ts'
import { VERBS } from '../protocol/server/verbs.ts'

export class Help {
  readonly #extensions: ExtensionSet
  /** Each command that is on, with its syntax. */
  readonly #commands: ReadonlyMap<string, string>
  readonly #list: Reply

  constructor(extensions: ExtensionSet, verbsOff: ReadonlySet<string>) {
    const own = Object.keys(VERBS).filter((verb) => VERBS[verb as Verb].needsExtension !== true)
    const verbs = [...own, ...extensions.verbs.keys()].filter((verb) => !verbsOff.has(verb))
    this.#extensions = extensions
    this.#commands = new Map(verbs.map((verb) => [verb, syntaxOf(verb, extensions)]))
    this.#list = reply(214, '2.0.0', `Commands: ${verbs.join(' ')}`)
  }

  /** Answers HELP. The topic is a command; '' stands for all of them. */
  about(topic: string, context: ExtensionContext): Reply {
    if (topic === '') return this.#list
    const [verb = ''] = upperCase(topic).split(' ', 1)
    const syntax = this.#commands.get(verb)
    if (syntax === undefined) return UNKNOWN_TOPIC
    const { mail, rcpt } = this.#extensions
    if (verb === 'MAIL') return reply(214, '2.0.0', syntax + parametersIn(mail, context))
    return reply(214, '2.0.0', verb === 'RCPT' ? syntax + parametersIn(rcpt, context) : syntax)
  }
}

function syntaxOf(verb: string, { verbs }: ExtensionSet): string {
  const { syntax = '' } = Object.hasOwn(VERBS, verb) ? VERBS[verb as Verb] : (verbs.get(verb) ?? {})
  return syntax === '' ? verb : `${verb} ${syntax}`
}

/** Lists the parameters on offer: ` [SIZE=value] [SMTPUTF8]`. */
function parametersIn<T>(known: ReadonlyMap<string, KnownParameter<T>>, context: ExtensionContext): string {
  let text = ''
  for (const [keyword, { extension, rule }] of known) {
    if (extension.advertise?.(context) !== null) text += ` [${keyword}${rule.value === 'none' ? '' : '=value'}]`
  }
  return text
}
