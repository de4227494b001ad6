/** Rules: what becomes of mail to an address or a domain. They are checked when the server starts, and asked at RCPT. */
import { asciiDomain, type RecipientDelivery, type RecipientHandling, type Reply, reply } from '@postern/engine'
import { keyOf, parseAddress } from '../directory/address.ts'
import type { RecipientAddress } from '../directory/directory.ts'
import type { Guard } from '../guard.ts'
import { parseDomain } from './domains.ts'

/** One thing that a rule does. `{ refuse }` has the whole reply: `550 5.7.1 We take no mail here`. */
export type RuleAction =
  | 'keep'
  | 'drop'
  | 'refuse'
  | { readonly refuse: string }
  | { readonly forward: string | readonly string[] }
  | { readonly lmtp: string }
  | { readonly webhook: string; readonly secret: string }

/** A rule, as a person writes it. */
export interface RuleData {
  /** Addresses such as `jane@example.com`, and domains such as `example.com`, or `*.example.com` for all below it. */
  readonly for: string | readonly string[]
  readonly do: RuleAction | readonly RuleAction[]
}

/** A rule that was checked: the reply that refuses, or what becomes of the mail. */
export type Rule = { readonly refuses: Reply } | { readonly refuses?: undefined; readonly handling: RecipientHandling }

/** A mistake in the rules. The path names the place in the list: `[0].do[1].forward`. */
export class RuleError extends Error {
  override readonly name = 'RuleError'
  readonly path: string
  constructor(path: string, message: string) {
    super(message)
    this.path = path
  }
}

export interface RulesGuardOptions {
  /** Returns whom a bounce to this address goes to, a refusal, or undefined if it is an ordinary address. Default: all are. */
  returned?(address: RecipientAddress): string | Reply | undefined
}

interface Written {
  readonly path: string
  readonly keeps: boolean
  readonly refuses: Reply | undefined
  readonly forwardsTo: readonly string[]
  readonly deliversTo: readonly string[]
}

export interface RulesOptions {
  /** Returns whether a text is the URL of a server of LMTP, without a user and password. Default: none is. */
  isLmtpUrl?(url: string): boolean
}

/** A webhook of a rule. */
export interface Webhook {
  readonly url: string
  /** `whsec_` and from 24 to 64 bytes in base64, as Standard Webhooks says. */
  readonly secret: string
}

/** What a rule reaches, with the rules of the addresses that it forwards to. */
interface Reached {
  readonly forwardsTo: readonly string[]
  readonly deliversTo: readonly RecipientDelivery[]
}

const REFUSED = reply(550, '5.7.1', 'This address receives no mail')
const ACTIONS =
  "'keep', 'drop', 'refuse', { refuse: '550 5.7.1 No mail here' }, { forward: 'jane@example.org' }, { lmtp: 'lmtp://host' } or { webhook: 'https://host/path', secret: 'whsec_…' }"
const TARGET = 'an address such as jane@example.com, a domain such as example.com, or *.example.com for all below it'
const REPLY = /^([45]\d\d) ([45]\.\d{1,3}\.\d{1,3}) ([\x20-\x7e]{1,200})$/
/** 24 to 64 bytes are 32 to 88 characters. */
const SECRET = /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/
const MAX_URL = 2000
const MAX_RULES = 10_000
/** Addresses that one message to one address is sent on to. */
const MAX_TARGETS = 100
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

function readActions(
  given: unknown,
  path: string,
  rule: string,
  { isLmtpUrl }: RulesOptions,
  webhooks: Map<string, Webhook>,
): Written {
  const actions = listOf(given)
  if (actions.length === 0) throw new RuleError(path, `it needs at least one of ${ACTIONS}`)
  let keeps = false
  let refuses: Reply | undefined
  const forwardsTo: string[] = []
  const deliversTo: string[] = []
  for (const [index, action] of actions.entries()) {
    const where = Array.isArray(given) ? `${path}[${index}]` : path
    if (action === 'keep') keeps = true
    else if (action === 'refuse') refuses = REFUSED
    else if (typeof action === 'object' && action !== null && 'refuse' in action) {
      refuses = readReply(fieldsOf(action, where, ['refuse'], ACTIONS)['refuse'], `${where}.refuse`)
    } else if (typeof action === 'object' && action !== null && 'forward' in action) {
      const { forward } = fieldsOf(action, where, ['forward'], ACTIONS)
      forwardsTo.push(...readForward(forward, `${where}.forward`))
    } else if (typeof action === 'object' && action !== null && 'lmtp' in action) {
      const { lmtp } = fieldsOf(action, where, ['lmtp'], ACTIONS)
      if (typeof lmtp !== 'string' || isLmtpUrl?.(lmtp) !== true) {
        throw new RuleError(
          `${where}.lmtp`,
          `${shownUrl(lmtp)} is not the URL of a server such as lmtp://host or lmtp+unix:/run/lmtp`,
        )
      }
      deliversTo.push(lmtp)
    } else if (typeof action === 'object' && action !== null && 'webhook' in action) {
      const webhook = readWebhook(action, where)
      const other = webhooks.get(webhook.url)
      if (other !== undefined && other.secret !== webhook.secret) {
        throw new RuleError(`${where}.secret`, 'another rule has this webhook with another secret')
      }
      webhooks.set(webhook.url, webhook)
      deliversTo.push(webhook.url)
    } else if (action !== 'drop') throw new RuleError(where, `${shown(action)} is not ${ACTIONS}`)
    const isFinal = action === 'drop' || refuses !== undefined
    if (isFinal && actions.length > 1)
      throw new RuleError(where, 'drop and refuse stand alone: remove the other actions')
  }
  if (deliversTo.length > MAX_TARGETS) throw new RuleError(path, `more than ${MAX_TARGETS} servers are not allowed`)
  return { path: rule, keeps, refuses, forwardsTo, deliversTo }
}

function readWebhook(given: unknown, path: string): Webhook {
  const { webhook, secret } = fieldsOf(given, path, ['webhook', 'secret'], ACTIONS)
  const url =
    typeof webhook === 'string' && webhook.length <= MAX_URL && URL.canParse(webhook) ? new URL(webhook) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new RuleError(`${path}.webhook`, `${shownUrl(webhook)} is not a URL such as https://host/path`)
  }
  if (typeof secret !== 'string' || !SECRET.test(secret)) {
    throw new RuleError(`${path}.secret`, 'the value (not shown) is not whsec_ and 24 to 64 bytes in base64')
  }
  return { url: url.href, secret }
}

function readForward(given: unknown, path: string): readonly string[] {
  const list = listOf(given)
  if (list.length === 0) throw new RuleError(path, 'it needs an address')
  return list.map((address) => {
    const parsed =
      typeof address === 'string' && /^[\x21-\x7e]{3,254}$/.test(address) ? parseAddress(address) : undefined
    if (parsed === undefined || parsed.domain.startsWith('*')) {
      throw new RuleError(path, `${shown(address)} is not an address such as jane@example.org`)
    }
    return address as string
  })
}

function readReply(given: unknown, path: string): Reply {
  const [, code = '', enhanced = '', text = ''] = (typeof given === 'string' && REPLY.exec(given)) || []
  // 421 would say that the server closes the connection.
  if (code === '' || code === '421' || code[0] !== enhanced[0]) {
    throw new RuleError(path, `${shown(given)} is not a reply such as 550 5.7.1 No mail here`)
  }
  return reply(Number(code), enhanced, text)
}

/** Returns the key of an address, or the name of a domain in ASCII. */
function keyOfTarget(text: string): string | undefined {
  if (!text.includes('@')) return text === '*' ? undefined : parseDomain(text)
  const parsed = parseAddress(text)
  return parsed === undefined || parsed.domain.startsWith('*') ? undefined : keyOf(parsed.localPart, parsed.domain)
}

function listOf(given: unknown): readonly unknown[] {
  if (given === undefined) return []
  return Array.isArray(given) ? given : [given]
}

function fieldsOf(
  given: unknown,
  path: string,
  known: readonly string[],
  allowed: string,
): Readonly<Record<string, unknown>> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new RuleError(path, `${shown(given)} is not ${allowed}`)
  }
  const unknown = Object.keys(given).find((name) => !known.includes(name))
  if (unknown === undefined) return given as Readonly<Record<string, unknown>>
  throw new RuleError(`${path}.${unknown}`, `there is no such field; the fields are ${known.join(', ')}`)
}

/** A URL may have a password. */
function shownUrl(value: unknown): string {
  return typeof value === 'string' && value.includes('@') ? 'a URL with a user (not shown)' : shown(value)
}

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 100) : value) ?? 'nothing'
}
