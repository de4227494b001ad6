/**
 * The settings of the Worker: vars and secrets with the same names as the server's environment variables.
 *
 *     POSTERN_HOSTNAME       required: the name in the greeting and in the trace header
 *     POSTERN_DOMAINS        required: domains to accept mail for, with commas between them, or `*` for all.
 *                            `*.example.com` is every domain below example.com
 *     POSTERN_FRONT_SECRET   a secret that fronts sign with, at least 32 characters. To replace it, give two with a comma
 *                            or blanks between them for some time. Without it there is no /pipe
 *     POSTERN_READ_TOKEN     a secret that lets its owner read the stored mail at /mail, at least 32 characters. Without it
 *                            there is no /mail
 *     POSTERN_KEEP_AGE_MS    remove mail that is older than this, in milliseconds: 2592000000 is 30 days
 *     POSTERN_KEEP_COUNT     keep only the newest messages, up to this number
 *     POSTERN_KEEP_BYTES     keep only the newest mail, up to this size
 *     POSTERN_MAX_MESSAGE_BYTES, POSTERN_IDLE_TIMEOUT_MS …   every limit of the engine
 *
 * An invalid value, or an unknown name, is an error that names it. Until it is fixed, the Worker accepts no mail.
 */
import { LIMIT_RULES, type Limits, OptionError } from '@postern/engine'
import { ANY_DOMAIN, parseDomain } from '@postern/intake/guards'
import { HOSTNAME_RULE, RETENTION_RULES, SECRET_RULE, variableOf } from '@postern/intake/settings'
import type { Retention } from '@postern/storage'

/** Settings, checked. */
export interface Settings {
  readonly hostname: string
  /** In lower case, with entries such as `*.example.com`. Undefined means every domain. */
  readonly domains: ReadonlySet<string> | undefined
  readonly frontSecrets: readonly string[]
  readonly readToken: string | undefined
  readonly limits: Partial<Limits>
  readonly retention: Retention
}

const PREFIX = 'POSTERN_'
const LIMIT_NAMES = new Map(Object.keys(LIMIT_RULES).map((name) => [variableOf(name), name]))

/** Reads the settings. @throws OptionError that names the variable and what is allowed, without secrets */
export function readSettings(env: Readonly<Record<string, unknown>>): Settings {
  const values = new Map(
    Object.entries(env).filter(([name, value]) => name.startsWith(PREFIX) && value !== null && value !== undefined),
  )
  const take = (name: string): string | undefined => {
    const value = values.get(name)
    values.delete(name)
    if (value === undefined || typeof value === 'string') return value
    throw new OptionError(name, typeof value, 'text')
  }
  const hostname = take('POSTERN_HOSTNAME')
  if (hostname === undefined || !HOSTNAME_RULE.pattern.test(hostname)) {
    throw new OptionError('POSTERN_HOSTNAME', hostname, HOSTNAME_RULE.allowed)
  }
  const domains = readDomains(take('POSTERN_DOMAINS'))
  const frontSecrets = readSecrets(take('POSTERN_FRONT_SECRET'))
  const readToken = take('POSTERN_READ_TOKEN')
  if (readToken !== undefined) checkSecret('POSTERN_READ_TOKEN', readToken)
  const retention = readRetention(values)
  return { hostname, domains, frontSecrets, readToken, retention, limits: readLimits(values) }
}

function readSecrets(value: string | undefined): string[] {
  const secrets = value?.split(',').flatMap((part) => part.trim().split(/\s/)) ?? []
  for (const secret of secrets) checkSecret('POSTERN_FRONT_SECRET', secret)
  return secrets
}

function checkSecret(variable: string, secret: string): void {
  if (!SECRET_RULE.pattern.test(secret)) throw new OptionError(variable, '(secret)', SECRET_RULE.allowed)
}

function readDomains(value: string | undefined): ReadonlySet<string> | undefined {
  if (value === ANY_DOMAIN) return undefined
  const domains = value?.split(',').map((domain) => parseDomain(domain.trim()))
  if (domains?.every((domain) => domain !== undefined && domain !== ANY_DOMAIN) === true) {
    return new Set(domains as string[])
  }
  throw new OptionError('POSTERN_DOMAINS', value, "a list of domains with commas between them, or '*'")
}

/** Reads the retention limits, and removes them from `values`. */
function readRetention(values: Map<string, unknown>): Retention {
  const retention: { -readonly [Name in keyof Retention]: number } = {}
  for (const [name, { limit, min }] of Object.entries(RETENTION_RULES)) {
    const variable = variableOf(name)
    const value = values.get(variable)
    values.delete(variable)
    if (value === undefined) continue
    const number = numberOf(value)
    if (number !== Infinity && (!Number.isSafeInteger(number) || Number(number) < min)) {
      throw new OptionError(variable, value, `a whole number from ${min}, or Infinity`)
    }
    retention[limit] = Number(number)
  }
  return retention
}

/** Reads a number from a var, which may be a text or a number. */
function numberOf(value: unknown): unknown {
  return typeof value === 'string' && /^(\d+|Infinity)$/.test(value) ? Number(value) : value
}

/** Reads the limits. The engine checks their ranges. */
function readLimits(values: ReadonlyMap<string, unknown>): Partial<Limits> {
  const limits: Record<string, number> = {}
  for (const [variable, value] of values) {
    const name = LIMIT_NAMES.get(variable)
    // The error does not show the value, because it may be a secret whose name is misspelt.
    if (name === undefined) throw new OptionError(variable, '(set)', 'a setting; src/settings.ts lists them')
    const number = numberOf(value)
    if (typeof number !== 'number') throw new OptionError(variable, value, 'a number')
    limits[name] = number
  }
  return limits
}
