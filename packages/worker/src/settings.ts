/**
 * `@postern/worker/settings`: the settings of the Worker. They are vars and secrets with the same names as the server's environment variables.
 *
 *     POSTERN_HOSTNAME       required: the name in the greeting and in the trace header
 *     POSTERN_DOMAINS        required: domains to accept mail for, with commas between them, or `*` for all.
 *                            `*.example.com` is every domain below example.com
 *     POSTERN_ACCOUNTS       domains, accounts and aliases: the text of an accounts.json that `postern user` made. The Worker then
 *                            receives mail for them alone, and POSTERN_DOMAINS is not required. A secret
 *     POSTERN_FRONT_SECRET   a secret that fronts sign with, at least 32 characters. To replace it, give two with a comma
 *                            or blanks between them for some time. Without it there is no /pipe
 *     POSTERN_READ_TOKEN     a secret that lets its owner read the stored mail at /mail, at least 32 characters. Without it
 *                            there is no /mail
 *     POSTERN_KEEP_AGE_MS    remove mail that is older than this, in milliseconds: 2592000000 is 30 days
 *     POSTERN_KEEP_COUNT     keep only the newest messages, up to this number
 *     POSTERN_KEEP_BYTES     keep only the newest mail, up to this size
 *     POSTERN_REVERSE_DNS    true: look up the name of each client, which needs POSTERN_RESOLVER
 *     POSTERN_RESOLVER       DNS servers over HTTPS, with commas between them: https://cloudflare-dns.com/dns-query
 *     POSTERN_REVERSE_DNS_TIMEOUT_MS   how long a client waits for its name, in milliseconds: 5000
 *     POSTERN_TLS_REQUIRED   true: refuse mail until the connection uses TLS. Mail of Email Routing is taken
 *     POSTERN_PROXY_FROM     proxies that send a PROXY header before the session, with commas between them: addresses,
 *                            ranges, `binding` for the connections that other Workers open, or `all`
 *     POSTERN_ATTACHMENTS    apart: each large attachment becomes an object of its own too, decoded. Default: inside
 *     POSTERN_ATTACHMENTS_ABOVE_BYTES   attachments of more bytes are kept apart: 16384
 *     POSTERN_MAX_MESSAGE_BYTES, POSTERN_IDLE_TIMEOUT_MS …   every limit of the engine
 *
 * relay/settings.ts has those of mail that is sent on.
 *
 * A Worker's code may have settings too, with the names of the server's configuration file: `hostname`, `domains`, `keepAgeMs`. A var or
 * secret overrides the code.
 *
 * An invalid value, or an unknown name, is an error that names it. Until it is fixed, the Worker accepts no mail.
 */
import { type AddressRanges, addressRanges, LIMIT_RULES, type Limits, OptionError } from '@postern/engine'
import { Directory, type DirectoryData, DirectoryError, type RuleData } from '@postern/intake/directory'
import { ANY_DOMAIN, parseDomain } from '@postern/intake/guards'
import {
  HOSTNAME_RULE,
  parseHttpsResolver,
  RETENTION_RULES,
  SECRET_RULE,
  type TextRule,
  variableOf,
} from '@postern/intake/settings'
import { type ContentOptions, MAX_ATTACHMENTS_ABOVE_BYTES, type Retention } from '@postern/storage'

/** Settings in a Worker's code. */
export interface SettingsInput extends Partial<Limits> {
  /** The name in the greeting and in the trace header. */
  readonly hostname?: string
  /** Domains to accept mail for, such as `example.com` or `*.example.com`; `*` is every domain. */
  readonly domains?: string | readonly string[]
  /** Domains, accounts and aliases, as in accounts.json, or the text of such a file. `domains` is then not required. */
  readonly accounts?: string | DirectoryData
  /** The secret that fronts sign with. While you replace it, give two. */
  readonly frontSecret?: string | readonly string[]
  /** The secret that lets its owner read the stored mail at /mail. */
  readonly readToken?: string
  /** The greatest age of mail, in milliseconds. Older mail is removed. */
  readonly keepAgeMs?: number
  /** The greatest number of messages. The newest are kept. */
  readonly keepCount?: number
  /** The greatest number of bytes of all mail. The newest mail is kept. */
  readonly keepBytes?: number
  /** Look up the name of each client before its greeting. Needs `resolver`. */
  readonly reverseDns?: boolean
  /** DNS servers over HTTPS, such as `https://cloudflare-dns.com/dns-query`. */
  readonly resolver?: string | readonly string[]
  /** How long a client waits for its name, in milliseconds. Default 5,000. */
  readonly reverseDnsTimeoutMs?: number
  /** Refuse mail until the connection uses TLS. Mail of Email Routing is taken. */
  readonly tlsRequired?: boolean
  /** Proxies that send a PROXY header: addresses, ranges, `binding` for the connections that other Workers open, or `all`. */
  readonly proxyFrom?: string | readonly string[]
  /** `apart`: each large attachment becomes an object of its own too, decoded, while the message arrives. Default `inside`. */
  readonly attachments?: 'inside' | 'apart'
  /** Attachments of more decoded bytes than this are kept apart: 0 to 1,048,576. Default 16,384. */
  readonly attachmentsAboveBytes?: number
}

/** Settings, checked. */
export interface Settings {
  readonly hostname: string
  /** In lower case, with entries such as `*.example.com`. Undefined means every domain. */
  readonly domains: ReadonlySet<string> | undefined
  /** Undefined means that mail is received for every address of the domains. */
  readonly directory: Directory | undefined
  /** The rules in the accounts, not checked yet. */
  readonly accountRules: readonly RuleData[]
  readonly frontSecrets: readonly string[]
  readonly readToken: string | undefined
  readonly limits: Partial<Limits>
  readonly retention: Retention
  /** Undefined means that no name is looked up. */
  readonly reverseDns: ReverseDnsSettings | undefined
  readonly tlsRequired: boolean
  /** The clients whose connections begin with a PROXY header. Undefined means none. */
  readonly proxies: AddressRanges | undefined
  readonly contents: Pick<ContentOptions, 'attachments' | 'attachmentsAboveBytes'>
}

export interface ReverseDnsSettings {
  /** URLs of DNS servers over HTTPS. */
  readonly resolvers: readonly string[]
  readonly timeoutMs: number
}

/** A value as it was given. */
export interface Given {
  readonly value: unknown
  /** The name for messages: `POSTERN_HOSTNAME`, or `settings.hostname` if it is in the code. */
  readonly field: string
}

/** By variable. Reading a value removes it, so that unknown names are left. */
export type Values = Map<string, Given>

const PREFIX = 'POSTERN_'
/** How long a client waits for its name by default, and the longest allowed time. The engine waits longer for a hook. */
const REVERSE_DNS_TIMEOUT_MS = 5_000
const MAX_TIMEOUT_MS = 60_000
const ALL_PROXIES = 'all'
const BINDING = 'binding'
const SWITCH: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  [true, true],
  ['true', true],
  ['yes', true],
  ['1', true],
  [false, false],
  ['false', false],
  ['no', false],
  ['0', false],
])
const LIMIT_NAMES = new Map(Object.keys(LIMIT_RULES).map((name) => [variableOf(name), name]))

/**
 * Reads the settings.
 *
 * @param env The Worker's environment. Names that do not begin with `POSTERN_` are ignored
 * @param input The settings in the code. The environment overrides them
 * @param isOthers Returns whether the part that sends on reads a variable. That part also reads the rules of the accounts
 * @throws OptionError that names the setting and what is allowed, without secrets
 */
export function readSettings(
  env: object,
  input: SettingsInput = {},
  isOthers?: (variable: string) => boolean,
): Settings {
  const values = valuesOf(env, input)
  const hostname = takeText(values, 'POSTERN_HOSTNAME', HOSTNAME_RULE)
  if (hostname === undefined) throw new OptionError('POSTERN_HOSTNAME', undefined, HOSTNAME_RULE.allowed)
  const { directory, rules: accountRules } = takeAccounts(values, isOthers !== undefined)
  const domains = directory !== undefined && !values.has('POSTERN_DOMAINS') ? undefined : takeDomains(values)
  const frontSecrets = takeSecrets(values, 'POSTERN_FRONT_SECRET')
  const readToken = takeText(values, 'POSTERN_READ_TOKEN', SECRET_RULE)
  return {
    hostname,
    domains,
    directory,
    accountRules,
    frontSecrets,
    readToken,
    reverseDns: takeReverseDns(values),
    tlsRequired: takeSwitch(values, 'POSTERN_TLS_REQUIRED'),
    proxies: takeProxies(values),
    contents: takeContents(values),
    retention: takeRetention(values),
    limits: takeLimits(values, isOthers ?? (() => false)),
  }
}

/** Returns what was given, by variable. */
export function valuesOf(env: object, input: object): Values {
  const values: Values = new Map()
  for (const [name, value] of Object.entries(input)) {
    if (value !== undefined) values.set(variableOf(name), { value, field: `settings.${name}` })
  }
  for (const [field, value] of Object.entries(env)) {
    if (field.startsWith(PREFIX) && value !== null && value !== undefined) values.set(field, { value, field })
  }
  return values
}

export function take(values: Values, variable: string): Given | undefined {
  const given = values.get(variable)
  values.delete(variable)
  return given
}

export function takeText(values: Values, variable: string, rule: TextRule): string | undefined {
  const given = take(values, variable)
  if (given === undefined) return undefined
  if (typeof given.value !== 'string') throw new OptionError(given.field, typeof given.value, 'text')
  check(given.field, given.value, rule)
  return given.value
}

/** @throws OptionError that shows no secret */
function check(field: string, text: string, rule: TextRule): void {
  if (!rule.pattern.test(text)) throw new OptionError(field, rule === SECRET_RULE ? '(secret)' : text, rule.allowed)
}

/** Takes secrets with commas or blanks between them. */
export function takeSecrets(values: Values, variable: string): readonly string[] {
  const { items, field } = takeList(values, variable) ?? { items: [], field: '' }
  const secrets = items.flatMap((item) => item.trim().split(/\s/))
  for (const secret of secrets) check(field, secret, SECRET_RULE)
  return secrets
}

/** Takes a text with commas between the items, or a list of texts. */
function takeList(values: Values, variable: string): { items: readonly string[]; field: string } | undefined {
  const given = take(values, variable)
  if (given === undefined) return undefined
  const { value, field } = given
  if (typeof value === 'string') return { items: value.split(','), field }
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return { items: value, field }
  throw new OptionError(field, typeof value, 'text, or a list of texts')
}

function takeDomains(values: Values): ReadonlySet<string> | undefined {
  const { items, field } = takeList(values, 'POSTERN_DOMAINS') ?? { items: undefined, field: 'POSTERN_DOMAINS' }
  if (items?.length === 1 && items[0] === ANY_DOMAIN) return undefined
  const domains = items?.map((domain) => parseDomain(domain.trim())) ?? []
  if (domains.length > 0 && domains.every((domain) => domain !== undefined && domain !== ANY_DOMAIN)) {
    return new Set(domains as string[])
  }
  throw new OptionError(field, items?.join(','), "a list of domains with commas between them, or '*'")
}

/** @throws OptionError, or DirectoryError that names the field in the accounts */
function takeAccounts(
  values: Values,
  takesRules: boolean,
): { directory: Directory | undefined; rules: readonly RuleData[] } {
  const given = take(values, 'POSTERN_ACCOUNTS')
  if (given === undefined) return { directory: undefined, rules: [] }
  const { field, value } = given
  let data = value
  try {
    if (typeof value === 'string') data = JSON.parse(value)
  } catch {
    throw new OptionError(field, '(not shown)', 'JSON, as in an accounts.json')
  }
  try {
    const directory = new Directory(data, { takesRules })
    const other = directory.accounts.find(({ password }) => password !== undefined && password.kind !== 'scram')
    if (other === undefined) return { directory, rules: (data as DirectoryData).rules ?? [] }
    throw new DirectoryError(`the password record of ${other.address} is not SCRAM-SHA-256, which a Worker needs`)
  } catch (error) {
    if (!(error instanceof DirectoryError)) throw error
    throw new DirectoryError(`${field}: ${error.message}`)
  }
}

function takeRetention(values: Values): Retention {
  const retention: { -readonly [Name in keyof Retention]: number } = {}
  for (const [name, { limit, min }] of Object.entries(RETENTION_RULES)) {
    const given = take(values, variableOf(name))
    if (given === undefined) continue
    const number = numberOf(given.value)
    if (number !== Infinity && (!Number.isSafeInteger(number) || Number(number) < min)) {
      throw new OptionError(given.field, given.value, `a whole number from ${min}, or Infinity`)
    }
    retention[limit] = Number(number)
  }
  return retention
}

function takeReverseDns(values: Values): ReverseDnsSettings | undefined {
  const isOn = takeSwitch(values, 'POSTERN_REVERSE_DNS')
  const { items = [], field = 'POSTERN_RESOLVER' } = takeList(values, 'POSTERN_RESOLVER') ?? {}
  const resolvers = items.map((item) => {
    const url = parseHttpsResolver(item.trim())
    if (url === undefined)
      throw new OptionError(field, item, 'the URL of a DNS server, such as https://dns.example/dns-query')
    return url
  })
  const timeout = take(values, 'POSTERN_REVERSE_DNS_TIMEOUT_MS')
  const timeoutMs = timeout === undefined ? REVERSE_DNS_TIMEOUT_MS : numberOf(timeout.value)
  if (!Number.isSafeInteger(timeoutMs) || Number(timeoutMs) < 1 || Number(timeoutMs) > MAX_TIMEOUT_MS)
    throw new OptionError(timeout?.field ?? '', timeout?.value, `a whole number from 1 to ${MAX_TIMEOUT_MS}`)
  if (!isOn) return undefined
  if (resolvers.length === 0) throw new OptionError(field, undefined, 'a DNS server, which POSTERN_REVERSE_DNS needs')
  return { resolvers, timeoutMs: Number(timeoutMs) }
}

/** Takes a setting that is true or false. Default: false. */
function takeSwitch(values: Values, variable: string): boolean {
  const given = take(values, variable)
  if (given === undefined) return false
  const isOn = SWITCH.get(typeof given.value === 'string' ? given.value.toLowerCase() : given.value)
  if (isOn === undefined) throw new OptionError(given.field, given.value, 'true or false')
  return isOn
}

function takeProxies(values: Values): AddressRanges | undefined {
  const { items = [], field = '' } = takeList(values, 'POSTERN_PROXY_FROM') ?? {}
  const names = items.map((item) => item.trim())
  if (names.length === 0) return undefined
  if (names.includes(ALL_PROXIES)) return addressRanges('all', field)
  const ranges = addressRanges(
    names.filter((name) => name !== BINDING),
    field,
  )
  if (!names.includes(BINDING)) return ranges
  // The socket of a service binding has no address.
  return { includes: (endpoint) => endpoint.family === 'unknown' || ranges.includes(endpoint) }
}

function takeContents(values: Values): Settings['contents'] {
  const attachments = take(values, 'POSTERN_ATTACHMENTS') ?? { value: 'inside', field: '' }
  const { value, field } = attachments
  if (value !== 'inside' && value !== 'apart') throw new OptionError(field, value, 'inside or apart')
  const above = take(values, 'POSTERN_ATTACHMENTS_ABOVE_BYTES')
  if (above === undefined) return { attachments: value }
  const attachmentsAboveBytes = numberOf(above.value)
  const isRight =
    Number.isSafeInteger(attachmentsAboveBytes) && Number(attachmentsAboveBytes) <= MAX_ATTACHMENTS_ABOVE_BYTES
  if (!isRight || Number(attachmentsAboveBytes) < 0)
    throw new OptionError(above.field, above.value, `a whole number from 0 to ${MAX_ATTACHMENTS_ABOVE_BYTES}`)
  return { attachments: value, attachmentsAboveBytes: Number(attachmentsAboveBytes) }
}

/** Reads a number from a var, which may be a text or a number. */
export function numberOf(value: unknown): unknown {
  return typeof value === 'string' && /^(\d+|Infinity)$/.test(value) ? Number(value) : value
}

/** Takes the limits. The engine checks their ranges. Called last, so each name that is left and is not a limit is unknown. */
function takeLimits(values: Values, isOthers: (variable: string) => boolean): Partial<Limits> {
  const limits: Record<string, number> = {}
  for (const [variable, { value, field }] of values) {
    if (isOthers(variable)) continue
    const name = LIMIT_NAMES.get(variable)
    // The error does not show the value, because it may be a secret under a misspelt name.
    if (name === undefined) throw new OptionError(field, '(set)', 'a setting; the README of @postern/worker lists them')
    const number = numberOf(value)
    if (typeof number !== 'number') throw new OptionError(field, value, 'a number')
    limits[name] = number
  }
  return limits
}
