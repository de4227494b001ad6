/**
 * `@postern/worker/relay/settings`: the settings of mail that is sent on. They have the names of the server's options.
 *
 *     POSTERN_RELAY              the smarthost: smtp+starttls://user:password@smtp.example.net. A secret. Default: off
 *     POSTERN_DKIM, POSTERN_DKIM_…   keys that sign: JSON with domain, selector and key (PEM), or a list of them. Secrets: Cloudflare
 *                                allows 5 kB for each, so each may have one key
 *     POSTERN_RULES              JSON: a list of rules, as in the server's configuration file, a secret if one is a webhook. POSTERN_ACCOUNTS may have rules too
 *     POSTERN_SRS_SECRET         a secret of at least 32 characters, which rules that forward need. To replace it, give two
 *     POSTERN_RELAY_FIRST_RETRY_MS, POSTERN_RELAY_MAX_RETRY_MS, POSTERN_RELAY_DELAY_NOTICE_MS, POSTERN_RELAY_GIVE_UP_MS
 *     POSTERN_RELAY_CONNECT_TIMEOUT_MS, POSTERN_RELAY_TIMEOUT_MS
 *     POSTERN_RELAY_MAX_DELIVERIES, POSTERN_RELAY_MAX_PER_DESTINATION
 */
import { OptionError } from '@postern/engine'
import { parseServerUrl } from '@postern/engine/client'
import { RuleError, Rules, rulesIn } from '@postern/intake/directory'
import { SigningKey, SigningKeyError } from '@postern/relay/signing'
import { numberOf, type Settings, take, takeSecrets, type Values, valuesOf } from '../settings.ts'
import type { RelaySettingsInput } from './input.ts'

type NumberName = Exclude<keyof RelaySettingsInput, 'relay' | 'dkim' | 'rules' | 'srsSecret'>

export type RelayNumbers = Readonly<Record<NumberName, number>>

/** Settings, checked. */
export interface RelaySettings extends RelayNumbers {
  /** The URL of the smarthost; undefined if nothing is sent on. */
  readonly smarthost: string | undefined
  readonly keys: readonly SigningKey[]
  readonly rules: Rules
  /** There is at least one if a rule forwards. */
  readonly srsSecrets: readonly string[]
}

/** What the other settings of the Worker say. */
export interface RelayNeeds extends Pick<Settings, 'accountRules' | 'domains' | 'directory' | 'limits'> {
  readonly hasUsers: boolean
}

const HOUR_MS = 3_600_000
const YEAR_MS = 31_536_000_000
/** The least value, the greatest one, and the default. 0 as the default of a timeout means: those of the client. */
const NUMBERS: Readonly<Record<NumberName, readonly [number, number, number]>> = {
  relayFirstRetryMs: [1_000, YEAR_MS, 300_000],
  relayMaxRetryMs: [1_000, YEAR_MS, 4 * HOUR_MS],
  relayDelayNoticeMs: [0, YEAR_MS, 4 * HOUR_MS],
  relayGiveUpMs: [0, YEAR_MS, 120 * HOUR_MS],
  relayConnectTimeoutMs: [100, HOUR_MS, 30_000],
  relayTimeoutMs: [100, HOUR_MS, 0],
  relayMaxDeliveries: [1, 1_000, 4],
  relayMaxPerDestination: [1, 1_000, 4],
}
const OWN = /^POSTERN_(?:RELAY(?:_|$)|DKIM(?:_|$)|RULES$|SRS_SECRET$)/
const KEY_FIELDS = ['domain', 'selector', 'key', 'signsFrom', 'signsUntil']
const KEY_ALLOWED =
  'JSON with the fields domain, selector, key (a private key as PEM) and, if they are wanted, signsFrom and signsUntil; or a list of them'
const MAX_KEYS = 1_000
const MAX_PEM_LENGTH = 65_536
/** A Durable Object keeps the recipients of one destination in one value, which has room for so many. */
export const MAX_RECIPIENTS = 300

/** Returns whether a variable is one of these settings. */
export function isRelaySetting(variable: string): boolean {
  return OWN.test(variable)
}

/**
 * Reads the settings.
 * @throws OptionError that names the setting and what is allowed, without secrets
 */
export function readRelaySettings(env: object, input: RelaySettingsInput, needs: RelayNeeds): RelaySettings {
  const values: Values = new Map([...valuesOf(env, input)].filter(([variable]) => isRelaySetting(variable)))
  const smarthost = takeSmarthost(values)
  const keys = [...values.keys()]
    .filter((name) => /^POSTERN_DKIM(?:_|$)/.test(name))
    .flatMap((name) => takeKeys(values, name))
  const rules = withAccounts(takeRules(values), needs)
  const srsSecrets = takeSecrets(values, 'POSTERN_SRS_SECRET')
  const numbers = takeNumbers(values)
  const [left] = values
  if (left !== undefined)
    throw new OptionError(left[1].field, '(set)', 'a setting; the README of @postern/worker lists them')
  const settings = { ...numbers, smarthost, keys, rules, srsSecrets }
  checkNeeds(settings, needs)
  return settings
}

function takeSmarthost(values: Values): string | undefined {
  const given = take(values, 'POSTERN_RELAY')
  if (given === undefined || given.value === 'off') return undefined
  const { field, value } = given
  const allowed = 'off, or the URL of a smarthost such as smtp+starttls://user:password@smtp.example.net'
  if (typeof value !== 'string') throw new OptionError(field, typeof value, allowed)
  if (value === 'mx')
    throw new OptionError(field, value, `${allowed}: Cloudflare blocks port 25, at which MX hosts take mail`)
  try {
    if (parseServerUrl(value).path === undefined) return value
  } catch (error) {
    // The URL may have a password, and this text shows none.
    throw new TypeError(`${field}: ${(error as Error).message}`, { cause: error })
  }
  throw new OptionError(field, 'lmtp+unix:', `${allowed}: a Worker has no Unix sockets`)
}

function takeKeys(values: Values, variable: string): readonly SigningKey[] {
  const { field, value } = take(values, variable) ?? { field: '', value: [] }
  let given = value
  try {
    if (typeof value === 'string') given = JSON.parse(value)
  } catch {
    throw new OptionError(field, '(not shown)', KEY_ALLOWED)
  }
  const list: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (list.length > MAX_KEYS) throw new OptionError(field, list.length, `at most ${MAX_KEYS} keys`)
  return list.map((item, at) => keyOf(item, list.length === 1 ? field : `${field}[${at}]`))
}

function keyOf(item: unknown, field: string): SigningKey {
  const given = (typeof item === 'object' && item !== null ? item : {}) as Readonly<Record<string, unknown>>
  const unknown = Object.keys(given).find((name) => !KEY_FIELDS.includes(name))
  const { domain, selector, key, signsFrom, signsUntil } = given
  if (unknown !== undefined || typeof domain !== 'string' || typeof selector !== 'string' || typeof key !== 'string')
    throw new OptionError(field, '(not shown)', KEY_ALLOWED)
  const times = {
    signsFrom: timeOf(signsFrom, `${field}.signsFrom`),
    signsUntil: timeOf(signsUntil, `${field}.signsUntil`),
  }
  try {
    return new SigningKey(pemIn(key), { domain, selector, ...times })
  } catch (error) {
    if (!(error instanceof SigningKeyError)) throw error
    throw new TypeError(`${field}: the key of ${JSON.stringify(domain)} is not usable: ${error.message}`, {
      cause: error,
    })
  }
}

/** Returns the PEM alone: a file that `postern dkim keygen` wrote may have lines above it. */
function pemIn(text: string): string {
  return text.length > MAX_PEM_LENGTH ? '' : text.slice(Math.max(0, text.indexOf('-----BEGIN')))
}

function timeOf(value: unknown, field: string): Date | undefined {
  if (value === undefined) return undefined
  const isTime = typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/.test(value)
  const time = new Date(isTime ? value : NaN)
  if (Number.isNaN(time.getTime())) throw new OptionError(field, value, 'a time such as 2026-12-05T00:00:00Z')
  return time
}

function takeRules(values: Values): Rules {
  const { field, value } = take(values, 'POSTERN_RULES') ?? { field: '', value: [] }
  let given = value
  try {
    if (typeof value === 'string') given = JSON.parse(value)
  } catch {
    throw new OptionError(field, '(not shown)', 'JSON: a list of rules')
  }
  return checked(field, () => new Rules(given, { isLmtpUrl }))
}

/** Adds the rules of the accounts. The nearest rule decides; for one and the same address, that of POSTERN_RULES. */
function withAccounts(rules: Rules, { directory, accountRules }: RelayNeeds): Rules {
  if (directory === undefined || accountRules.length === 0) return rules
  const own = checked('POSTERN_ACCOUNTS: rules', () => rulesIn({ rules: accountRules }, directory, { isLmtpUrl }))
  return checked('POSTERN_ACCOUNTS: rules, together with POSTERN_RULES', () => rules.followedBy(own))
}

/** @throws TypeError that names the field */
function checked(field: string, read: () => Rules): Rules {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof RuleError)) throw error
    throw new TypeError(`${field}${error.path}: ${error.message}`, { cause: error })
  }
}

function isLmtpUrl(url: string): boolean {
  try {
    const { protocol, path, credentials } = parseServerUrl(url)
    return protocol === 'lmtp' && path === undefined && credentials === undefined
  } catch {
    return false
  }
}

function takeNumbers(values: Values): RelayNumbers {
  const numbers: { -readonly [Name in NumberName]?: number } = {}
  for (const name of Object.keys(NUMBERS) as NumberName[]) {
    const [least, most, byDefault] = NUMBERS[name]
    const given = take(values, `POSTERN_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`)
    const number = given === undefined ? byDefault : numberOf(given.value)
    const isAllowed = Number.isSafeInteger(number) && Number(number) >= least && Number(number) <= most
    if (given !== undefined && !isAllowed)
      throw new OptionError(given.field, given.value, `a whole number from ${least} to ${most}`)
    numbers[name] = Number(number)
  }
  return numbers as RelayNumbers
}

/** Checks that the Worker knows whose mail is its own, and who may send. */
function checkNeeds(
  { smarthost, rules, srsSecrets, relayFirstRetryMs, relayMaxRetryMs }: RelaySettings,
  { domains, directory, limits, hasUsers }: RelayNeeds,
): void {
  if (smarthost === undefined) {
    if (rules.sendOn) throw new TypeError('rules: need POSTERN_RELAY, because a rule sends mail on')
    return
  }
  if (domains === undefined && directory === undefined)
    throw new TypeError(
      'POSTERN_RELAY: needs to know which mail is for this Worker: set POSTERN_ACCOUNTS, or name domains in POSTERN_DOMAINS',
    )
  if (!hasUsers && !rules.sendOn)
    throw new TypeError('POSTERN_RELAY: needs a user who may send: set POSTERN_ACCOUNTS, or the option auth')
  if (rules.sendOn && srsSecrets.length === 0)
    throw new TypeError('POSTERN_SRS_SECRET: needed, because a rule sends mail on; set at least 32 random characters')
  if (relayMaxRetryMs < relayFirstRetryMs)
    throw new TypeError('POSTERN_RELAY_MAX_RETRY_MS: it is less than POSTERN_RELAY_FIRST_RETRY_MS')
  if ((limits.maxRecipients ?? 0) > MAX_RECIPIENTS)
    throw new OptionError(
      'POSTERN_MAX_RECIPIENTS',
      limits.maxRecipients,
      `at most ${MAX_RECIPIENTS} with POSTERN_RELAY`,
    )
}
