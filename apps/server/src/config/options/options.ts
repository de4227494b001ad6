/**
 * The one table of options: what each is called, takes, defaults to, and means.
 *
 * Flags, environment variables, keys of the config file, their validation and the help are all derived from it. A schema
 * takes what a person may write (`'25MiB'`, `'yes'`) and gives what the server uses; its error is the end of the sentence
 * "… is not …". The type says that the table and {@link Config} have the same names.
 */
import { availableParallelism, hostname } from 'node:os'
import { LIMIT_RULES, type Limits } from '@postern/engine'
import { parseUser, type User } from '@postern/intake/accounts'
import { DOMAIN_ALLOWED, parseDomain } from '@postern/intake/guards'
import { RETENTION_RULES } from '@postern/intake/settings'
import type { S3CredentialsSource } from '@postern/storage/s3'
import type { AuthMechanism, Config, ConfigHandlers, HostCertificate, LogLevel } from './config.ts'
import { LISTEN_ALLOWED, type ListenAddress, parseListenUrl } from '../urls/listen-url.ts'
import { HOOK_NAMES, isHooks } from './hooks.ts'
import { isAllowed } from '../../host/permission.ts'
import { parsePipeUrl, PIPE_ALLOWED } from '../urls/pipe-url.ts'
import { isProxyRange, PROXY_ALLOWED } from '../urls/proxies.ts'
import { unitOf } from '../values/quantity.ts'
import {
  commaList,
  custom,
  list,
  nonEmpty,
  oneOf,
  optional,
  parsed,
  parsedText,
  quantity,
  type Schema,
  text,
  trueOrFalse,
} from '../values/schema.ts'
import { isS3Credentials, isStore, parseStoreUrl, STORE_ALLOWED, type StoreChoice } from '../urls/store-url.ts'

/** What the server uses: every option with its value. */
export interface Options extends Limits {
  readonly listen: readonly ListenAddress[]
  readonly store: StoreChoice
  readonly s3Credentials: S3CredentialsSource | undefined
  readonly proxyFrom: readonly string[]
  readonly frontSecret: readonly string[]
  readonly to: string | undefined
  readonly toCa: string | undefined
  readonly toWithoutTls: boolean
  readonly connectTimeoutMs: number
  readonly hostname: string
  /** In lower case; undefined: nobody said. */
  readonly domains: readonly string[] | undefined
  readonly banner: string
  readonly greetingDelayMs: number
  readonly bareLineEndings: 'reject' | 'normalise' | 'preserve'
  readonly addresses: 'strict' | 'lenient'
  readonly disabled: readonly string[]
  readonly graceMs: number
  readonly workers: number
  readonly keepAgeMs: number
  readonly keepCount: number
  readonly keepBytes: number
  readonly tlsKey: string | undefined
  readonly tlsCert: string | undefined
  readonly tlsPassphrase: string | undefined
  readonly selfSigned: boolean
  readonly tlsRequired: boolean
  readonly tlsCa: string | undefined
  readonly clientCertificates: 'none' | 'request' | 'require'
  readonly sni: Readonly<Record<string, HostCertificate>>
  readonly users: readonly User[]
  readonly authRequired: boolean
  readonly authWithoutTls: boolean
  readonly authMechanisms: readonly AuthMechanism[]
  readonly logLevel: LogLevel
  readonly logFormat: 'auto' | 'pretty' | 'json'
  readonly debug: boolean
  readonly handlers: ConfigHandlers
}

/** The name of an option, as the config file writes it. */
export type OptionName = keyof Config

/** One row of {@link OPTIONS}. */
export interface Option<Value = unknown> {
  readonly schema: Schema<Value>
  /** As a person would write it; `undefined` is an option that may stay without a value. */
  readonly byDefault: unknown
  readonly help: string
  /** The heading that the help lists it under. */
  readonly group: string
  /** What the help calls the value; without it the option is a switch. */
  readonly value?: string
  /** May be given several times. */
  readonly repeatable?: true
  /** Its value is never shown. */
  readonly secret?: true
  /** It has no text form, so only the config file can hold it. */
  readonly fileOnly?: true
}

const MAX_MS = LIMIT_RULES.sessionTimeoutMs.max
/** Each is a thread with a heap of its own. */
const MAX_WORKERS = 64

const limitHelp: Readonly<Record<keyof Limits, string>> = {
  maxMessageBytes: 'size of one message; advertised as SIZE',
  maxDrainBytes: 'how much of a message over its size is read, and thrown away, to answer it',
  maxCommandLineOctets: 'length of a command line',
  maxAuthLineOctets: 'length of a line of AUTH',
  maxTextLineOctets: 'length of a line of a message',
  maxRecipients: 'recipients of one message',
  maxEnvelopeOctets: 'sender, recipients and their parameters of one message',
  maxTotalEnvelopeOctets: 'the same for all sessions together',
  maxConnections: 'connections at the same time',
  maxConnectionsPerAddress: 'connections at the same time from one address',
  maxBadCommands: 'bad commands before the client is closed on',
  maxIdleCommands: 'commands between two messages that lead nowhere, such as NOOP or RSET',
  maxFailedAuths: 'failed logins before the client is closed on',
  maxCommandsBeforeAuth: 'commands before AUTH, where it is required',
  idleTimeoutMs: 'time without a command',
  dataTimeoutMs: 'time without a byte while a message is sent',
  sessionTimeoutMs: 'time of a whole session',
  proxyHeaderTimeoutMs: 'time for the header of a proxy, where --proxy-from trusts one',
  tlsHandshakeTimeoutMs: 'time for a TLS handshake',
  hookTimeoutMs: 'time for a hook of your own, and for the store, to answer',
  minDataBytesPerSecond: 'slowest a message may be sent, on the average; 0 is any',
  minDataRateGraceMs: 'how long a message may be slower than that at its beginning',
}

const where = 'Where:'
const retention = 'Retention:'
const policy = 'Policy:'
const tls = 'TLS:'
const auth = 'Users:'
const logs = 'Logs:'
const limits = 'Limits:'

/** Every option. */
export const OPTIONS: { readonly [Name in OptionName]: Option<Options[Name]> } = {
  listen: {
    schema: nonEmpty(list(parsedText(parseListenUrl, LISTEN_ALLOWED))),
    byDefault: 'smtp://127.0.0.1:2525',
    help: 'where to listen: smtp://, smtps://, submission://, submissions://, smtp+unix:, ws://, wss://',
    group: where,
    value: 'url',
    repeatable: true,
  },
  store: {
    schema: parsed<StoreChoice>(
      (given) => (typeof given === 'string' ? parseStoreUrl(given) : isStore(given) ? given : undefined),
      STORE_ALLOWED,
    ),
    byDefault: 'fs:./mail',
    help: 'where mail is kept: fs:DIRECTORY, maildir:DIRECTORY, s3://BUCKET/PREFIX, or memory: until the server stops',
    group: where,
    value: 'url',
  },
  s3Credentials: {
    schema: optional(
      custom(isS3Credentials, '{ accessKeyId, secretAccessKey } and maybe sessionToken, or a function that gives them'),
    ),
    byDefault: undefined,
    help: 'who may use an s3: store, where the environment does not say',
    group: where,
    value: 'credentials',
    secret: true,
    fileOnly: true,
  },
  proxyFrom: {
    schema: list(parsedText((range) => (isProxyRange(range) ? range : undefined), PROXY_ALLOWED)),
    byDefault: [],
    help: 'proxies that say whose a connection is, by the PROXY protocol: address, range, or all',
    group: where,
    value: 'addresses',
    repeatable: true,
  },
  frontSecret: {
    // RFC 7518 3.2
    schema: list(text(/^[\x21-\x7e]{32,1024}$/, 'at least 32 printable characters of ASCII, without blanks')),
    byDefault: [],
    help: 'what a front and the server behind it share: the first signs, every one opens; at least 32 characters',
    group: where,
    value: 'secret',
    repeatable: true,
    secret: true,
  },
  to: {
    schema: optional(parsedText(parsePipeUrl, PIPE_ALLOWED)),
    byDefault: undefined,
    help: 'the server behind the front: wss://host/path',
    group: where,
    value: 'url',
  },
  toCa: { ...file('PEM file with the authorities that the server is checked against'), group: where },
  toWithoutTls: onOff('allow ws:// to another machine: whoever is on the way reads the mail', where),
  connectTimeoutMs: amount('connectTimeoutMs', 1, 60_000, '10s', 'time for the server to answer a new pipe', where),
  hostname: {
    schema: text(/^[^\s]{1,255}$/, 'a domain or an address literal, such as mx.example.com'),
    byDefault: systemName(),
    help: 'name in the greeting, the EHLO reply and the trace header',
    group: where,
    value: 'name',
  },
  graceMs: amount('graceMs', 0, MAX_MS, '30s', 'time for mail in progress to finish when the server stops', where),
  workers: {
    schema: parsed<number>(workerCount, `a whole number, from 1 to ${MAX_WORKERS}, or auto`),
    byDefault: 1,
    help: 'threads that take mail in; auto is one for each core',
    group: where,
    value: 'number',
  },

  keepAgeMs: amount(
    'keepAgeMs',
    RETENTION_RULES.keepAgeMs.min,
    Infinity,
    Infinity,
    'age from which mail is removed, such as 30d',
    retention,
  ),
  keepCount: amount(
    'keepCount',
    RETENTION_RULES.keepCount.min,
    Infinity,
    Infinity,
    'how many messages are kept: the newest',
    retention,
  ),
  keepBytes: amount(
    'keepBytes',
    RETENTION_RULES.keepBytes.min,
    Infinity,
    Infinity,
    'how much mail is kept: the newest that fits',
    retention,
  ),

  domains: {
    schema: optional(nonEmpty(commaList(parsedText(parseDomain, DOMAIN_ALLOWED)))),
    byDefault: undefined,
    help: 'domains that mail is taken for: example.com,*.example.org, or * for every one; others get 550 5.7.1',
    group: policy,
    value: 'domains',
    repeatable: true,
  },
  banner: {
    schema: text(/^[\x20-\x7e]{0,200}$/, 'one line of at most 200 printable ASCII characters'),
    byDefault: 'Postern',
    help: 'what follows the host name in the greeting',
    group: policy,
    value: 'text',
  },
  greetingDelayMs: amount(
    'greetingDelayMs',
    0,
    60_000,
    0,
    'wait before the greeting, refuse who talks into it',
    policy,
  ),
  bareLineEndings: {
    schema: oneOf('reject', 'normalise', 'preserve'),
    byDefault: 'reject',
    help: 'messages with a bare CR or LF: reject, normalise or preserve',
    group: policy,
    value: 'policy',
  },
  addresses: {
    schema: oneOf('strict', 'lenient'),
    byDefault: 'strict',
    help: 'strict, or lenient: take what is only untidy, such as paths without angle brackets',
    group: policy,
    value: 'policy',
  },
  disabled: {
    schema: list(parsedText((word) => word.toUpperCase(), 'an EHLO keyword or a verb, such as VRFY or CHUNKING')),
    byDefault: [],
    help: 'extension or verb that is off, such as VRFY or CHUNKING',
    group: policy,
    value: 'keyword',
    repeatable: true,
  },

  tlsKey: file('PEM file with the private key'),
  tlsCert: file('PEM file with the certificate and its chain'),
  tlsPassphrase: {
    schema: optional(parsedText((passphrase) => passphrase, 'a text')),
    byDefault: undefined,
    help: 'opens an encrypted key; a variable shows it to fewer eyes than a flag',
    group: tls,
    value: 'secret',
    secret: true,
  },
  selfSigned: onOff('make a certificate for this run, to try TLS out', tls),
  tlsRequired: onOff('refuse mail until the connection is TLS', tls),
  tlsCa: file('PEM file with the authorities that client certificates are checked against'),
  clientCertificates: {
    schema: oneOf('none', 'request', 'require'),
    byDefault: 'none',
    help: 'ask clients for a certificate: none, request, or require one that --tls-ca vouches for',
    group: tls,
    value: 'policy',
  },
  sni: {
    schema: hostCertificates(),
    byDefault: {},
    help: 'other certificates by the host name that the client asks for',
    group: tls,
    value: 'hosts',
    fileOnly: true,
  },

  users: {
    schema: list(parsedText(parseUser, 'name:hash, with a hash that `postern hash` made')),
    byDefault: [],
    help: 'who may send, as name:hash; `postern hash` makes the hash',
    group: auth,
    value: 'name:hash',
    repeatable: true,
    secret: true,
  },
  authRequired: onOff('refuse mail until AUTH has succeeded', auth),
  authWithoutTls: onOff('offer AUTH also without TLS: passwords travel in clear', auth),
  authMechanisms: {
    schema: nonEmpty(list(oneOf('PLAIN', 'LOGIN'))),
    byDefault: ['PLAIN', 'LOGIN'],
    help: 'mechanism on offer: PLAIN, LOGIN',
    group: auth,
    value: 'name',
    repeatable: true,
  },

  logLevel: {
    schema: oneOf('trace', 'debug', 'info', 'warning', 'error', 'fatal'),
    byDefault: 'info',
    help: 'the least that is logged: trace, debug, info, warning, error, fatal',
    group: logs,
    value: 'level',
  },
  logFormat: {
    schema: oneOf('auto', 'pretty', 'json'),
    byDefault: 'auto',
    help: 'pretty, json, or auto: pretty on a terminal',
    group: logs,
    value: 'format',
  },
  debug: onOff('log what goes over the wire, without credentials', logs),

  ...limitOptions(),

  handlers: {
    schema: custom(isHooks, `an object of functions called ${HOOK_NAMES.join(', ')}`),
    byDefault: {},
    help: 'your own hooks',
    group: policy,
    value: 'hooks',
    fileOnly: true,
  },
}

/** Every name in the table. */
export const OPTION_NAMES = Object.keys(OPTIONS) as readonly OptionName[]

const FRONT_ONLY: readonly OptionName[] = ['to', 'toCa', 'toWithoutTls', 'connectTimeoutMs']

/** Options of `postern serve`. */
export const SERVE_OPTIONS: readonly OptionName[] = OPTION_NAMES.filter((name) => !FRONT_ONLY.includes(name))

/** Options of `postern front`. */
export const FRONT_OPTIONS: readonly OptionName[] = [
  'listen',
  'to',
  'frontSecret',
  'toCa',
  'toWithoutTls',
  'connectTimeoutMs',
  'hostname',
  'graceMs',
  'tlsKey',
  'tlsCert',
  'tlsPassphrase',
  'selfSigned',
  'tlsCa',
  'clientCertificates',
  'sni',
  'logLevel',
  'logFormat',
  'maxConnections',
  'maxConnectionsPerAddress',
  'idleTimeoutMs',
  'sessionTimeoutMs',
  'tlsHandshakeTimeoutMs',
]

/** Options of `postern sweep`. */
export const SWEEP_OPTIONS: readonly OptionName[] = [
  'store',
  'keepAgeMs',
  'keepCount',
  'keepBytes',
  'sessionTimeoutMs',
  'hookTimeoutMs',
]

function limitOptions(): { readonly [Name in keyof Limits]: Option<number> } {
  const rows = Object.entries(LIMIT_RULES).map(([name, rule]) => {
    const { byDefault, min, mayBeInfinite } = rule
    const max = mayBeInfinite === true ? Infinity : rule.max
    return [name, amount(name, min, max, byDefault, limitHelp[name as keyof Limits], limits)]
  })
  return Object.fromEntries(rows)
}

function amount(
  name: string,
  min: number,
  max: number,
  byDefault: unknown,
  help: string,
  group: string,
): Option<number> {
  const unit = unitOf(name)
  const value = { bytes: 'size', time: 'time', count: 'number' }[unit]
  return { schema: quantity(unit, min, max), byDefault, help, group, value }
}

function workerCount(given: unknown): number | undefined {
  if (given === 'auto') return Math.min(MAX_WORKERS, availableParallelism())
  const count = typeof given === 'string' && /^\d{1,3}$/.test(given) ? Number(given) : given
  return typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= MAX_WORKERS ? count : undefined
}

function onOff(help: string, group: string): Option<boolean> {
  return { schema: trueOrFalse(), byDefault: false, help, group }
}

function file(help: string): Option<string | undefined> {
  return {
    schema: optional(text(/^[^\0]+$/, 'the path of a file')),
    byDefault: undefined,
    help,
    group: tls,
    value: 'file',
  }
}

function hostCertificates(): Schema<Readonly<Record<string, HostCertificate>>> {
  // A passphrase is among them, so the error shows none of it.
  return custom(isHostCertificates, 'host names, each with { tlsKey, tlsCert } and maybe tlsPassphrase')
}

function isHostCertificates(given: unknown): given is Readonly<Record<string, HostCertificate>> {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return false
  return Object.values(given).every((files: unknown) => {
    if (typeof files !== 'object' || files === null) return false
    const { tlsKey, tlsCert, tlsPassphrase, ...others } = files as Partial<HostCertificate>
    const isPassphrase = tlsPassphrase === undefined || typeof tlsPassphrase === 'string'
    return typeof tlsKey === 'string' && typeof tlsCert === 'string' && isPassphrase && Object.keys(others).length === 0
  })
}

/** The system's name where it may be known and can stand in a greeting; a name with an underscore, say, can't. */
function systemName(): string {
  const name = isAllowed({ name: 'sys', kind: 'hostname' }) ? hostname() : ''
  return /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(name) ? name : 'localhost'
}
