/**
 * Every bound of the engine. Whatever a peer sends, no memory use grows without a bound.
 * Values are checked once, at start. A wrong value throws an error that names the field. Only a missing field gets its
 * default.
 */
import { acrossCopies } from '../copies.ts'

export interface Limits {
  /** Bytes of one message, after dot-unstuffing (RFC 1870). Advertised as SIZE. */
  readonly maxMessageBytes: number
  /**
   * Bytes over `maxMessageBytes` that the server reads and drops, to answer the message with 552. If the client sends more, the
   * server closes the connection.
   */
  readonly maxDrainBytes: number
  /** Octets of a command line, CRLF included (RFC 5321 4.5.3.1.4). Each extension on offer adds its own octets. */
  readonly maxCommandLineOctets: number
  /** Octets of an AUTH command or response, CRLF included (RFC 4954 4). */
  readonly maxAuthLineOctets: number
  /** Octets of a line of message text sent by DATA, CRLF included. Infinity: only the size of the message bounds a line. */
  readonly maxTextLineOctets: number
  /** Recipients of one transaction (RFC 5321 4.5.3.1.8 asks for at least 100). */
  readonly maxRecipients: number
  /** Domains of the recipients of one transaction. Infinity: only their number counts. */
  readonly maxRecipientDomains: number
  /** Transactions of one session. One more MAIL gets `421`. Infinity: only the time bounds a session. */
  readonly maxTransactions: number
  /** Received fields of one message (RFC 5321 6.3). A message with more loops, and gets `554 5.4.6`. */
  readonly maxReceivedFields: number
  /**
   * Octets of the paths and parameters of one transaction, as the client sent them. A recipient over the bound gets `452
   * 4.5.3`. With the default, each of 1,000 recipients may have 260.
   */
  readonly maxEnvelopeOctets: number
  /**
   * The same for all sessions together. Here each path counts 512 octets more. The first 4,096 octets of each session do not
   * count, so that other clients are served when one client uses up the bound. Over the bound, MAIL and RCPT get `452 4.3.1`.
   */
  readonly maxTotalEnvelopeOctets: number
  /** Connections at the same time. */
  readonly maxConnections: number
  /** Connections at the same time from one address (IPv6: from one /64). Unix sockets have no address and do not count. */
  readonly maxConnectionsPerAddress: number
  /** Unknown, malformed or out-of-order commands before `421`. The count is set back when a message is accepted. */
  readonly maxBadCommands: number
  /**
   * Commands that make no progress, between two accepted messages: NOOP, RSET, HELP, VRFY, EXPN, another EHLO, an empty BDAT, a
   * command of an extension, each refused MAIL, each refused message, and each refused RCPT after the first `maxRecipients`.
   * One more gets `421`.
   */
  readonly maxIdleCommands: number
  /** Failed AUTHs before `421`. */
  readonly maxFailedAuths: number
  /** Challenges of one AUTH. If its mechanism has one more, the client gets `501 5.7.0`, which counts as a failed AUTH. */
  readonly maxAuthChallenges: number
  /** Commands before a successful AUTH, if AUTH is required, before `421`. */
  readonly maxCommandsBeforeAuth: number
  /** Time without a command (RFC 5321 4.5.3.2.7 asks for 5 minutes). Also the time that the peer has to take a reply. */
  readonly idleTimeoutMs: number
  /** Time without a byte while a client sends a message (RFC 5321 4.5.3.2.5 asks for 3 minutes). */
  readonly dataTimeoutMs: number
  /** Time of a whole session. */
  readonly sessionTimeoutMs: number
  /** Time for the header of a proxy (see `SessionOverrides.proxyProtocol`). Its specification asks for 3 seconds at least. */
  readonly proxyHeaderTimeoutMs: number
  /** Time for a TLS handshake. */
  readonly tlsHandshakeTimeoutMs: number
  /**
   * Time for a hook to answer. After it the client gets `451 4.3.0`. The time in which the hook waits for the message's bytes
   * does not count.
   */
  readonly hookTimeoutMs: number
  /** The lowest average rate of a message since its beginning, in bytes a second. 0: no minimum. */
  readonly minDataBytesPerSecond: number
  /** How long a message may be below the minimum rate at its beginning. */
  readonly minDataRateGraceMs: number
}

const KiB = 1024
const MiB = 1024 * KiB
/** The longest time that a timer accepts on every runtime: 2^31 - 1 ms. */
const MAX_MS = 2_147_483_647
const HUGE = Number.MAX_SAFE_INTEGER

interface Rule {
  readonly byDefault: number
  readonly min: number
  readonly max: number
  readonly mayBeInfinite?: true
}

/** Default and range of each limit. Validation and the help of the command line both use them. */
export const LIMIT_RULES: Readonly<Record<keyof Limits, Rule>> = {
  maxMessageBytes: { byDefault: 25 * MiB, min: 1, max: HUGE },
  maxDrainBytes: { byDefault: 100 * MiB, min: 0, max: HUGE },
  maxCommandLineOctets: { byDefault: 512, min: 512, max: 65_536 },
  maxAuthLineOctets: { byDefault: 12_288, min: 512, max: 65_536 },
  maxTextLineOctets: { byDefault: Infinity, min: 1_000, max: HUGE, mayBeInfinite: true },
  maxRecipients: { byDefault: 1_000, min: 1, max: 1_000_000 },
  maxRecipientDomains: { byDefault: Infinity, min: 1, max: 1_000_000, mayBeInfinite: true },
  maxTransactions: { byDefault: Infinity, min: 1, max: 1_000_000, mayBeInfinite: true },
  maxReceivedFields: { byDefault: 100, min: 1, max: 1_000_000, mayBeInfinite: true },
  maxEnvelopeOctets: { byDefault: 256 * KiB, min: 4 * KiB, max: HUGE },
  maxTotalEnvelopeOctets: { byDefault: 64 * MiB, min: 4 * KiB, max: HUGE },
  maxConnections: { byDefault: 2_000, min: 1, max: 10_000_000 },
  maxConnectionsPerAddress: { byDefault: 100, min: 1, max: 10_000_000 },
  maxBadCommands: { byDefault: 10, min: 1, max: 1_000_000 },
  maxIdleCommands: { byDefault: 1_000, min: 1, max: 1_000_000_000 },
  maxFailedAuths: { byDefault: 3, min: 1, max: 1_000_000 },
  // LOGIN has two.
  maxAuthChallenges: { byDefault: 20, min: 2, max: 1_000_000 },
  maxCommandsBeforeAuth: { byDefault: 20, min: 1, max: 1_000_000 },
  idleTimeoutMs: { byDefault: 300_000, min: 1, max: MAX_MS },
  dataTimeoutMs: { byDefault: 180_000, min: 1, max: MAX_MS },
  sessionTimeoutMs: { byDefault: 3_600_000, min: 1, max: MAX_MS },
  proxyHeaderTimeoutMs: { byDefault: 5_000, min: 1, max: MAX_MS },
  tlsHandshakeTimeoutMs: { byDefault: 30_000, min: 1, max: MAX_MS },
  hookTimeoutMs: { byDefault: 300_000, min: 1, max: MAX_MS },
  minDataBytesPerSecond: { byDefault: 100, min: 0, max: HUGE },
  minDataRateGraceMs: { byDefault: 60_000, min: 0, max: MAX_MS },
}

/** A limit or another option has an invalid value. The message names the field, the value and what is allowed. */
export class OptionError extends TypeError {
  static {
    acrossCopies(this, 'OptionError')
  }
  override readonly name = 'OptionError'
  readonly field: string
  constructor(field: string, value: unknown, allowed: string) {
    super(`${field}: ${describe(value)} is not ${allowed}`)
    this.field = field
  }
}

/**
 * Fills in the defaults.
 * @throws OptionError on an unknown field or a value out of its range.
 */
export function resolveLimits(given: Partial<Limits> = {}): Limits {
  const limits: Record<string, number> = {}
  for (const [field, value] of Object.entries(given)) {
    if (!Object.hasOwn(LIMIT_RULES, field)) {
      throw new OptionError(`limits.${field}`, value, `a limit; the limits are ${Object.keys(LIMIT_RULES).join(', ')}`)
    }
  }
  for (const [field, rule] of Object.entries(LIMIT_RULES)) {
    const value = given[field as keyof Limits]
    if (value === undefined) limits[field] = rule.byDefault
    else if (isWithin(value, rule)) limits[field] = value
    else throw new OptionError(`limits.${field}`, value, allowedBy(rule))
  }
  return limits as unknown as Limits
}

function isWithin(value: unknown, rule: Rule): value is number {
  if (rule.mayBeInfinite === true && value === Infinity) return true
  return Number.isSafeInteger(value) && (value as number) >= rule.min && (value as number) <= rule.max
}

function allowedBy(rule: Rule): string {
  const infinite = rule.mayBeInfinite === true ? ', or Infinity' : ''
  return `a whole number from ${rule.min} to ${rule.max}${infinite}`
}

function describe(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
