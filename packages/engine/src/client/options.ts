/** The options of a client, their defaults and their checks. */
import type { TlsInfo } from '../duplex.ts'
import { isHelloName } from '../protocol/grammar/path.ts'
import { OptionError } from '../protocol/limits.ts'
import type { ReplyLimits } from '../protocol/client/reply-reader.ts'
import type { ClientCredentials, ClientMechanism } from '../sasl/client/mechanism.ts'
import { mechanismOf } from '../sasl/client/mechanisms.ts'

export interface ClientOptions {
  /** The name in EHLO or LHLO: a domain or an address literal. */
  readonly hostname: string
  /** Default 'smtp'. */
  readonly protocol?: 'smtp' | 'lmtp'
  /** Default 'if-offered'. With 'required' the client says nothing in clear after EHLO but STARTTLS and QUIT. */
  readonly startTls?: 'never' | 'if-offered' | 'required'
  /**
   * Judges the server as soon as the connection is TLS, before the client says anything more. An error that it throws ends the
   * connection. If it returns, the certificate counts as verified, so REQUIRETLS may be sent.
   */
  readonly verifyServer?: (server: TlsServer) => void | Promise<void>
  readonly credentials?: ClientCredentials
  /**
   * Names, and mechanisms of your own, the best first. Default: EXTERNAL if `credentials.external` is set, SCRAM-SHA-256-PLUS,
   * SCRAM-SHA-256, OAUTHBEARER, XOAUTH2, CRAM-MD5, PLAIN, LOGIN.
   */
  readonly mechanisms?: readonly (string | ClientMechanism)[]
  /** Lets PLAIN, LOGIN, OAUTHBEARER and XOAUTH2 show a secret in clear. Default false. */
  readonly allowSecretInClear?: boolean
  readonly timeouts?: Partial<ClientTimeouts>
  readonly limits?: Partial<ClientLimits>
  /** Gets each line of both sides, without credentials and without the message. */
  readonly trace?: (line: ClientTraceLine) => void
  /** Ends `openClient`. After it has resolved, the signal does nothing. */
  readonly signal?: AbortSignal
}

/** What `verifyServer` judges. */
export interface TlsServer {
  readonly tls: TlsInfo
  /** As DER, its own first; see {@link Duplex.peerCertificates}. Empty if the server showed none, or the runtime does not tell. */
  readonly certificates: readonly Uint8Array[]
}

export interface ClientTraceLine {
  readonly side: 'client' | 'server'
  readonly text: string
}

/** Each holds for a whole reply, not for a read: RFC 5321 4.5.3.2. */
export interface ClientTimeouts {
  readonly greetingMs: number
  readonly helloMs: number
  /** For the reply, once more for the handshake, and once more for `verifyServer`. */
  readonly startTlsMs: number
  /** For each reply of a login. */
  readonly authMs: number
  readonly mailMs: number
  readonly rcptMs: number
  /** For the reply to DATA, and to each BDAT but the last. */
  readonly dataMs: number
  /** The server must take a piece of 64 KiB within this time. */
  readonly blockMs: number
  /** For the reply to the whole message. */
  readonly finalMs: number
  /** For every other command. */
  readonly commandMs: number
  readonly quitMs: number
}

export interface ClientLimits extends ReplyLimits {}

const TIMEOUTS: ClientTimeouts = {
  greetingMs: 300_000,
  helloMs: 300_000,
  startTlsMs: 60_000,
  authMs: 300_000,
  mailMs: 300_000,
  rcptMs: 300_000,
  dataMs: 120_000,
  blockMs: 180_000,
  finalMs: 600_000,
  commandMs: 300_000,
  quitMs: 10_000,
}
const LIMITS: ClientLimits = { maxReplyLineOctets: 2_048, maxReplyLines: 100, maxReplyOctets: 65_536 }

/** The longest time that a timer accepts on every runtime: 2^31 - 1 ms. */
const MAX_MS = 2_147_483_647
const MIN_LINE_OCTETS = 512

/** The options with their defaults. */
export interface ClientSettings {
  readonly hostname: string
  readonly isLmtp: boolean
  readonly startTls: 'never' | 'if-offered' | 'required'
  readonly mechanisms: readonly ClientMechanism[] | undefined
  readonly allowSecretInClear: boolean
  readonly timeouts: ClientTimeouts
  readonly limits: ClientLimits
  readonly trace: ((line: ClientTraceLine) => void) | undefined
  readonly verifyServer: ((server: TlsServer) => void | Promise<void>) | undefined
}

/** @throws OptionError */
export function resolveClientOptions(options: ClientOptions): ClientSettings {
  const { hostname, protocol = 'smtp', startTls = 'if-offered' } = options
  if (typeof hostname !== 'string' || !isHelloName(hostname)) {
    throw new OptionError('hostname', hostname, 'a domain or an address literal')
  }
  oneOf('protocol', protocol, ['smtp', 'lmtp'])
  oneOf('startTls', startTls, ['never', 'if-offered', 'required'])
  return {
    hostname,
    isLmtp: protocol === 'lmtp',
    startTls,
    mechanisms: options.mechanisms?.map(mechanismOf),
    allowSecretInClear: options.allowSecretInClear ?? false,
    timeouts: numbers('timeouts', options.timeouts, TIMEOUTS, () => [1, MAX_MS]),
    limits: numbers('limits', options.limits, LIMITS, (field) => [
      field === 'maxReplyLines' ? 1 : MIN_LINE_OCTETS,
      Number.MAX_SAFE_INTEGER,
    ]),
    trace: options.trace,
    verifyServer: options.verifyServer,
  }
}

function oneOf(field: string, value: string, allowed: readonly string[]): void {
  if (!allowed.includes(value)) throw new OptionError(field, value, `one of ${allowed.join(', ')}`)
}

function numbers<Fields extends object>(
  option: string,
  given: Partial<Fields> | undefined,
  defaults: Fields,
  range: (field: string) => readonly [number, number],
): Fields {
  const fields = { ...defaults } as Record<string, unknown>
  for (const [field, value] of Object.entries((given ?? {}) as Record<string, number | undefined>)) {
    if (!Object.hasOwn(defaults, field)) {
      throw new OptionError(`${option}.${field}`, value, `one of ${Object.keys(defaults).join(', ')}`)
    }
    if (value === undefined) continue
    const [min, max] = range(field)
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw new OptionError(`${option}.${field}`, value, `a whole number from ${min} to ${max}`)
    }
    fields[field] = value
  }
  return fields as Fields
}
