/** Rules: what becomes of mail to an address or a domain. They are checked when the server starts, and asked at RCPT. */
import { asciiDomain, type RecipientDelivery, type RecipientHandling, type Reply } from '@postern/engine'
import { keyOf, parseAddress } from '../directory/address.ts'
import type { RecipientAddress } from '../directory/directory.ts'
import type { Guard } from '../guard.ts'
import {
  fieldsOf,
  listOf,
  MAX_TARGETS,
  readActions,
  type RuleAction,
  RuleError,
  type RulesOptions,
  shown,
  type Webhook,
  type Written,
} from './actions.ts'
import { parseDomain } from './domains.ts'

/** A rule, as a person writes it. */
export interface RuleData {
  /** Addresses such as `jane@example.com`, and domains such as `example.com`, or `*.example.com` for all below it. */
  readonly for: string | readonly string[]
  readonly do: RuleAction | readonly RuleAction[]
}

/** A rule that was checked: the reply that refuses, or what becomes of the mail. */
export type Rule = { readonly refuses: Reply } | { readonly refuses?: undefined; readonly handling: RecipientHandling }

export interface RulesGuardOptions {
  /** Returns whom a bounce to this address goes to, a refusal, or undefined if it is an ordinary address. Default: all are. */
  returned?(address: RecipientAddress): string | Reply | undefined
}

/** What a rule reaches, with the rules of the addresses that it forwards to. */
interface Reached {
  readonly forwardsTo: readonly string[]
  readonly deliversTo: readonly RecipientDelivery[]
}

const TARGET = 'an address such as jane@example.com, a domain such as example.com, or *.example.com for all below it'
const MAX_RULES = 10_000
const MAX_DEPTH = 10
/** Separates a local part from its tag. */
const TAG = '+'

export class Rules {
  readonly #byTarget = new Map<string, Written>()
  readonly #rules = new Map<Written, Rule>()
  readonly #webhooks = new Map<string, Webhook>()
  #steps = 0

  /** @param given A list of {@link RuleData}. @throws RuleError */
  constructor(given: unknown, options: RulesOptions = {}) {
    if (!Array.isArray(given) || given.length > MAX_RULES) {
      throw new RuleError('', `${shown(given)} is not a list of at most ${MAX_RULES} rules`)
    }
    for (const [index, item] of given.entries()) this.#read(item, `[${index}]`, options)
    for (const written of this.#byTarget.values()) {
      if (!this.#rules.has(written)) this.#rules.set(written, this.#checked(written))
    }
  }

  /** Whether a rule sends mail on. */
  get sendOn(): boolean {
    return [...this.#byTarget.values()].some(({ forwardsTo, deliversTo }) => forwardsTo.length + deliversTo.length > 0)
  }

  get webhooks(): readonly Webhook[] {
    return [...this.#webhooks.values()]
  }

  /** The domains of the addresses and domains that have rules, in ASCII, with `*.` for all below one. */
  get domains(): readonly string[] {
    return [...new Set([...this.#byTarget.keys()].map((target) => target.slice(target.lastIndexOf('@') + 1)))]
  }

  /**
   * Finds the rule of an address: that of the address, of the address without its `+tag`, of its domain, or of the nearest `*.` above it.
   */
  find({ localPart, domain }: RecipientAddress): Rule | undefined {
    const written = this.#find(localPart, domain)
    return written && this.#rules.get(written)
  }

  #find(localPart: string, domain: string): Written | undefined {
    const ascii = asciiDomain(domain)
    if (ascii === undefined) return undefined
    const tag = localPart.indexOf(TAG)
    const found =
      this.#byTarget.get(keyOf(localPart, ascii)) ??
      (tag > 0 ? this.#byTarget.get(keyOf(localPart.slice(0, tag), ascii)) : undefined) ??
      this.#byTarget.get(ascii)
    if (found !== undefined) return found
    for (let dot = ascii.indexOf('.'); dot !== -1; dot = ascii.indexOf('.', dot + 1)) {
      const above = this.#byTarget.get(`*${ascii.slice(dot)}`)
      if (above !== undefined) return above
    }
    return undefined
  }

  #read(item: unknown, path: string, options: RulesOptions): void {
    const { for: targets, do: actions } = fieldsOf(item, path, ['for', 'do'], 'a rule, such as { for, do }')
    const written = readActions(actions, `${path}.do`, path, options, this.#webhooks)
    const list = listOf(targets)
    if (list.length === 0) throw new RuleError(`${path}.for`, `it needs ${TARGET}`)
    for (const target of list) {
      const key = typeof target === 'string' ? keyOfTarget(target) : undefined
      if (key === undefined) throw new RuleError(`${path}.for`, `${shown(target)} is not ${TARGET}`)
      const other = this.#byTarget.get(key)
      if (other !== undefined) {
        throw new RuleError(`${path}.for`, `${shown(target)} has a rule already, in rules${other.path}; remove one`)
      }
      this.#byTarget.set(key, written)
    }
  }

  #checked(written: Written): Rule {
    const { path, keeps, refuses, forwardsTo, deliversTo } = written
    if (refuses !== undefined) return { refuses }
    this.#steps = 0
    const reached = forwardsTo.map((address) => this.#follow(address, [], path))
    const deliveries: RecipientDelivery[] = deliversTo.map((url) => ({ url }))
    deliveries.push(...reached.flatMap((each) => each.deliversTo))
    const addresses = new Set(reached.flatMap((each) => each.forwardsTo))
    return {
      handling: {
        keeps,
        forwardsTo: [...addresses],
        ...(deliveries.length > 0 && { deliversTo: unique(deliveries) }),
      },
    }
  }

  /** Returns where mail that is forwarded to an address ends. Rules of that address hold too. */
  #follow(address: string, way: readonly string[], path: string): Reached {
    const parsed = parseAddress(address)
    if (parsed === undefined) return { forwardsTo: [], deliversTo: [] }
    const key = keyOf(parsed.localPart, parsed.domain)
    const further = [...way, key]
    if (way.includes(key)) throw new RuleError(`${path}.do`, `the forward leads back to itself: ${further.join(' → ')}`)
    if (way.length > MAX_DEPTH) throw new RuleError(`${path}.do`, `more than ${MAX_DEPTH} forwards follow one another`)
    if (++this.#steps > MAX_TARGETS) {
      throw new RuleError(`${path}.do`, `the rule reaches more than ${MAX_TARGETS} addresses`)
    }
    const next = this.#find(parsed.localPart, parsed.domain)
    if (next === undefined) return { forwardsTo: [address], deliversTo: [] }
    if (next.refuses !== undefined) {
      throw new RuleError(`${path}.do`, `it forwards to ${address}, which rules${next.path} refuses`)
    }
    const reached = next.forwardsTo.map((target) => this.#follow(target, further, path))
    return {
      forwardsTo: [...(next.keeps ? [address] : []), ...reached.flatMap((each) => each.forwardsTo)],
      deliversTo: [...next.deliversTo.map((url) => ({ url, address })), ...reached.flatMap((each) => each.deliversTo)],
    }
  }
}

/** Does at RCPT what the rules say. It comes after the guards that know which addresses are ours. */
export function rulesGuard(rules: Rules, { returned = () => undefined }: RulesGuardOptions = {}): Guard {
  return {
    name: 'rules',
    rcpt(forwardPath) {
      const { domain, handling, isElsewhere } = forwardPath
      // A hook of the user's may have decided.
      if (isElsewhere === true || handling !== undefined || domain === '') return undefined
      const back = returned(forwardPath)
      if (typeof back === 'object') return back
      if (back !== undefined) {
        forwardPath.handling = { keeps: false, forwardsTo: [back] }
        return undefined
      }
      const rule = rules.find(forwardPath)
      if (rule === undefined) return undefined
      if (rule.refuses !== undefined) return rule.refuses
      forwardPath.handling = rule.handling
      return undefined
    },
  }
}

/** Leaves out deliveries that are there already. */
function unique(deliveries: readonly RecipientDelivery[]): readonly RecipientDelivery[] {
  return [...new Map(deliveries.map((each) => [`${each.url} ${each.address ?? ''}`, each])).values()]
}

/** Returns the key of an address, or the name of a domain in ASCII. */
function keyOfTarget(text: string): string | undefined {
  if (!text.includes('@')) return text === '*' ? undefined : parseDomain(text)
  const parsed = parseAddress(text)
  return parsed === undefined || parsed.domain.startsWith('*') ? undefined : keyOf(parsed.localPart, parsed.domain)
}
