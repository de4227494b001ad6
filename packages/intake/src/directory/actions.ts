/** The actions of a rule, as a person writes them, and the checks of them. */
import { type Reply, reply } from '@postern/engine'
import { parseAddress } from './address.ts'

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

/** A webhook of a rule. */
export interface Webhook {
  readonly url: string
  /** `whsec_` and from 24 to 64 bytes in base64, as Standard Webhooks says. */
  readonly secret: string
}

/** A mistake in the rules. The path names the place in the list: `[0].do[1].forward`. */
export class RuleError extends Error {
  override readonly name = 'RuleError'
  readonly path: string
  constructor(path: string, message: string) {
    super(message)
    this.path = path
  }
}

/** The actions of a rule that were read. */
export interface Written {
  readonly path: string
  readonly keeps: boolean
  readonly refuses: Reply | undefined
  readonly forwardsTo: readonly string[]
  readonly deliversTo: readonly string[]
}

export interface RulesOptions {
  /** Returns whether a text is the URL of a server of LMTP, without a user and password. Default: none is. */
  isLmtpUrl?(url: string): boolean
  /** Separates a local part from its tag; '' if nothing does. Default '+'. */
  readonly separator?: string
}

const REFUSED = reply(550, '5.7.1', 'This address receives no mail')
const ACTIONS =
  "'keep', 'drop', 'refuse', { refuse: '550 5.7.1 No mail here' }, { forward: 'jane@example.org' }, { lmtp: 'lmtp://host' } or { webhook: 'https://host/path', secret: 'whsec_…' }"
const REPLY = /^([45]\d\d) ([45]\.\d{1,3}\.\d{1,3}) ([\x20-\x7e]{1,200})$/
/** 24 to 64 bytes are 32 to 88 characters. */
const SECRET = /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/
const MAX_URL = 2000
/** The part of an unknown field that is shown. */
const MAX_FIELD = 40
/** Addresses that one message to one address is sent on to. */
export const MAX_TARGETS = 100

/** Reads the actions of a rule. @throws RuleError */
export function readActions(
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
    } else if (action !== 'drop') throw new RuleError(where, `${shownAction(action)} is not ${ACTIONS}`)
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

/** Returns a list as it is, and one value as a list of it. */
export function listOf(given: unknown): readonly unknown[] {
  if (given === undefined) return []
  return Array.isArray(given) ? given : [given]
}

/** Returns an object with these fields and no others. @throws RuleError */
export function fieldsOf(
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

/** Shows the field of an unknown action, and not its value, which may be a secret. */
function shownAction(action: unknown): string {
  const [field] = typeof action === 'object' && action !== null && !Array.isArray(action) ? Object.keys(action) : []
  return field === undefined ? shown(action) : `{ ${field.slice(0, MAX_FIELD)}: … }`
}

/** A URL may have a password. */
function shownUrl(value: unknown): string {
  return typeof value === 'string' && value.includes('@') ? 'a URL with a user (not shown)' : shown(value)
}

/** Shows a value in a message. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return JSON.stringify(typeof value === 'string' ? value.slice(0, 100) : value) ?? 'nothing'
}
