/**
 * Every bound there is, in one place. Nothing grows with what a peer sends.
 *
 * Values are checked once, at start: a wrong one throws and names itself. A missing one is the default; nothing else is.
 */

export interface Limits {
  /** Bytes of one message, after dot-unstuffing (RFC 1870). Advertised as SIZE. */
  readonly maxMessageBytes: number
  /** Bytes of a message that are read and thrown away, over `maxMessageBytes`, to answer it with 552; past them the client is closed on. */
  readonly maxDrainBytes: number
  /** Octets of a command line, CRLF included (RFC 5321 4.5.3.1.4); each extension on offer adds its own to this. */
  readonly maxCommandLineOctets: number
  /** Octets of an AUTH command or response, CRLF included (RFC 4954 4). */
  readonly maxAuthLineOctets: number
  /** Octets of a line of message text sent by DATA, CRLF included. Infinity: no bound but the message's own. */
  readonly maxTextLineOctets: number
  /** Recipients of one transaction (RFC 5321 4.5.3.1.8 asks for at least 100). */
  readonly maxRecipients: number
  /**
   * Octets of the paths and parameters of one transaction, as the client sent them. A recipient beyond gets `452 4.5.3`. The default lets
   * each of 1,000 recipients have 260.
   */
  readonly maxEnvelopeOctets: number
  /**
   * The same for all sessions together, where each path counts 512 more. The first 4,096 of each session do not count, so that others
   * are served when somebody uses it up. Beyond, MAIL and RCPT get `452 4.3.1`.
   */
  readonly maxTotalEnvelopeOctets: number
  /** Connections at the same time. */
  readonly maxConnections: number
  /** Connections at the same time from one address (IPv6: from one /64). Unix sockets have no address and do not count. */
  readonly maxConnectionsPerAddress: number
  /** Commands that were unknown, malformed or out of order, before `421`. A message that is accepted forgives them. */
  readonly maxBadCommands: number
  /**
   * Commands that lead nowhere between two messages that are accepted: NOOP, RSET, HELP, VRFY, EXPN, another EHLO, an empty BDAT, an
   * extension's own, each MAIL and message that is refused, and each refused RCPT beyond `maxRecipients` of them. One more gets `421`.
   */
  readonly maxIdleCommands: number
  /** Failed AUTHs before `421`. */
  readonly maxFailedAuths: number
  /** Commands before a successful AUTH, where AUTH is required, before `421`. */
  readonly maxCommandsBeforeAuth: number
  /** Time without a command (RFC 5321 4.5.3.2.7 asks for 5 minutes), and for the peer to take a reply. */
  readonly idleTimeoutMs: number
  /** Time without a byte while a message is sent (RFC 5321 4.5.3.2.5 asks for 3 minutes). */
  readonly dataTimeoutMs: number
  /** Time of a whole session. */
  readonly sessionTimeoutMs: number
  /** Time for the header of a proxy (see `SessionOverrides.proxyProtocol`); its specification asks for 3 seconds at least. */
  readonly proxyHeaderTimeoutMs: number
  /** Time for a TLS handshake. */
  readonly tlsHandshakeTimeoutMs: number
  /** Time for a hook to answer. Past it the client gets `451 4.3.0`. Reading the message does not count. */
  readonly hookTimeoutMs: number
  /** Bytes a second that a message must keep up with, on the average since it began. 0: no minimum. */
  readonly minDataBytesPerSecond: number
  /** How long a message may stay under the minimum rate at its beginning. */
  readonly minDataRateGraceMs: number
}

const KiB = 1024
const MiB = 1024 * KiB
/** The longest time a timer takes on every runtime: 2^31 - 1 ms. */
const MAX_MS = 2_147_483_647
const HUGE = Number.MAX_SAFE_INTEGER

interface Rule {
  readonly byDefault: number
  readonly min: number
  readonly max: number
  readonly mayBeInfinite?: true
}

/** Default and range of each limit; the ranges are what validation and the command line's help say. */
export const LIMIT_RULES: Readonly<Record<keyof Limits, Rule>> = {
  maxMessageBytes: { byDefault: 25 * MiB, min: 1, max: HUGE },
  maxDrainBytes: { byDefault: 100 * MiB, min: 0, max: HUGE },
  maxCommandLineOctets: { byDefault: 512, min: 512, max: 65_536 },
  maxAuthLineOctets: { byDefault: 12_288, min: 512, max: 65_536 },
  maxTextLineOctets: { byDefault: Infinity, min: 1_000, max: HUGE, mayBeInfinite: true },
  maxRecipients: { byDefault: 1_000, min: 1, max: 1_000_000 },
  maxEnvelopeOctets: { byDefault: 256 * KiB, min: 4 * KiB, max: HUGE },
  maxTotalEnvelopeOctets: { byDefault: 64 * MiB, min: 4 * KiB, max: HUGE },
  maxConnections: { byDefault: 2_000, min: 1, max: 10_000_000 },
  maxConnectionsPerAddress: { byDefault: 100, min: 1, max: 10_000_000 },
  maxBadCommands: { byDefault: 10, min: 1, max: 1_000_000 },
  maxIdleCommands: { byDefault: 1_000, min: 1, max: 1_000_000_000 },
  maxFailedAuths: { byDefault: 3, min: 1, max: 1_000_000 },
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

/** A limit, or another option, has a value that cannot be. The message names the field, the value and what is allowed. */
export class OptionError extends TypeError {
  override readonly name = 'OptionError'
  readonly field: string
  constructor(field: string, value: unknown, allowed: string) {
    super(`${field}: ${describe(value)} is not ${allowed}`)
    this.field = field
  }
}

/** Fills in the defaults. @throws OptionError on an unknown field or a value out of its range. */
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
