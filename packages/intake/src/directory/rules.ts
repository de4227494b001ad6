/** Rules: what becomes of mail to an address or a domain. They are checked when they are read, and asked at RCPT. */
import { asciiDomain, type RecipientDelivery, type RecipientHandling, type Reply } from '@postern/engine'
import type { DirectoryData } from './data.ts'
import type { Directory } from './directory.ts'
import { keyOf, parseAddress, parseDomainName, type RecipientAddress } from './address.ts'
import {
  fieldsOf,
  listOf,
  MAX_TARGETS,
  readActions,
  type RuleData,
  RuleError,
  type RulesOptions,
  shown,
  type Webhook,
  type Written,
} from './actions.ts'

/** A rule that was checked: the reply that refuses, or what becomes of the mail. */
export type Rule = { readonly refuses: Reply } | { readonly refuses?: undefined; readonly handling: RecipientHandling }

/** What a rule reaches, with the rules of the addresses that it forwards to. */
interface Reached {
  readonly forwardsTo: readonly string[]
  readonly deliversTo: readonly RecipientDelivery[]
}

const TARGET = 'an address such as jane@example.com, a domain such as example.com, or *.example.com for all below it'
/** A file of accounts may have one for each account. */
const MAX_RULES = 100_000
const MAX_DEPTH = 10

export class Rules {
  readonly #byTarget = new Map<string, Written>()
  readonly #rules = new Map<Written, Rule>()
  readonly #webhooks = new Map<string, Webhook>()
  readonly #separator: string
  #data: readonly RuleData[]
  #steps = 0

  /** @param given A list of {@link RuleData}. @throws RuleError */
  constructor(given: unknown, options: RulesOptions = {}) {
    this.#separator = options.separator ?? '+'
    if (!Array.isArray(given)) throw new RuleError('', `${shown(given)} is not a list of rules`)
    if (given.length > MAX_RULES) throw new RuleError('', `${given.length} rules are more than ${MAX_RULES}`)
    for (const [index, item] of given.entries()) this.#read(item, `[${index}]`, options)
    this.#data = given as readonly RuleData[]
    this.#check()
  }

  /**
   * Returns these rules together with others. The rule of the nearest address or domain decides, wherever it stands. If both have one for the
   * same address or domain, that of these decides.
   * @throws RuleError if they do not fit together
   */
  followedBy(others: Rules): Rules {
    const all = new Rules([], { separator: others.#separator })
    all.#data = [...this.#data, ...others.#data]
    for (const [url, webhook] of [...others.#webhooks, ...this.#webhooks]) {
      const other = all.#webhooks.get(url)
      if (other !== undefined && other.secret !== webhook.secret) {
        throw new RuleError('', 'a webhook of both has another secret in each')
      }
      all.#webhooks.set(url, webhook)
    }
    for (const [target, written] of [...others.#byTarget, ...this.#byTarget]) all.#byTarget.set(target, written)
    all.#check()
    return all
  }

  /** The rules as they were written. */
  get data(): readonly RuleData[] {
    return this.#data
  }

  /** Whether a rule sends mail on. */
  get sendOn(): boolean {
    return [...this.#byTarget.values()].some(({ forwardsTo, deliversTo }) => forwardsTo.length + deliversTo.length > 0)
  }

  get webhooks(): readonly Webhook[] {
    return [...this.#webhooks.values()]
  }

  /** Whether there are none. */
  get isEmpty(): boolean {
    return this.#byTarget.size === 0
  }

  /**
   * Returns a domain with a rule, or with a rule for one of its addresses, that is not among these.
   * @param domains In ASCII, with `*.` for all below one
   */
  foreignTo(domains: readonly string[]): string | undefined {
    const own = new Set(domains)
    return [...this.#byTarget.keys()]
      .map((target) => target.slice(target.lastIndexOf('@') + 1))
      .find((domain) => !isCovered(domain, own))
  }

  /** Returns whether a rule decides about an address alone: it refuses, or nobody keeps the mail. Then no account needs to have the address. */
  decides(address: RecipientAddress): boolean {
    const rule = this.find(address)
    return rule !== undefined && (rule.refuses !== undefined || !rule.handling.keeps)
  }

  /**
   * Finds the rule of an address: that of the address, of the address without its tag, of its domain, or of the nearest `*.` above it.
   */
  find({ localPart, domain }: RecipientAddress): Rule | undefined {
    const written = this.#find(localPart, domain)
    return written && this.#rules.get(written)
  }

  #find(localPart: string, domain: string): Written | undefined {
    const ascii = asciiDomain(domain)
    if (ascii === undefined) return undefined
    const tag = this.#separator === '' ? -1 : localPart.indexOf(this.#separator)
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

  #check(): void {
    for (const written of this.#byTarget.values()) {
      if (!this.#rules.has(written)) this.#rules.set(written, this.#checked(written))
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

/**
 * Reads the rules of accounts.json.
 * @param directory The accounts of the same data
 * @throws RuleError
 */
export function rulesIn(
  { rules = [] }: DirectoryData,
  { domains, separator }: Directory,
  options: Pick<RulesOptions, 'isLmtpUrl'> = {},
): Rules {
  const read = new Rules(rules, { ...options, separator })
  const foreign = read.foreignTo(domains)
  if (foreign === undefined) return read
  throw new RuleError('', `${shown(foreign)} is not among \`domains\`; add it there`)
}

/** Leaves out deliveries that are there already. */
function unique(deliveries: readonly RecipientDelivery[]): readonly RecipientDelivery[] {
  return [...new Map(deliveries.map((each) => [`${each.url} ${each.address ?? ''}`, each])).values()]
}

/** Returns the key of an address, or the name of a domain in ASCII. */
function keyOfTarget(text: string): string | undefined {
  if (!text.includes('@')) return parseDomainName(text)
  const parsed = parseAddress(text)
  return parsed === undefined || parsed.domain.startsWith('*') ? undefined : keyOf(parsed.localPart, parsed.domain)
}

/** @param domain Of a rule, with `*.` for all below it */
function isCovered(domain: string, own: ReadonlySet<string>): boolean {
  if (own.has(domain) || own.has('*')) return true
  const name = domain.startsWith('*.') ? domain.slice(2) : domain
  for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    if (own.has(`*${name.slice(dot)}`)) return true
  }
  return false
}
