/** Future message release: RFC 4865. The client asks the server to hold a message until a later time. */
import { upperCase } from '../bytes/ascii.ts'
import type { Envelope } from '../grammar/envelope.ts'
import { type Reply, reply } from '../grammar/reply.ts'
import { OptionError } from '../limits.ts'
import type { ProtocolExtension } from './extension.ts'
import { MALFORMED } from './parameters.ts'

export interface FutureReleaseOptions {
  /** How long a message may be held, in seconds. */
  readonly maxSeconds: number
  /** No message may be held beyond this time. Default: only `maxSeconds` counts. */
  readonly maxDate?: Date
}

const INTERVAL = /^[1-9]\d{0,8}$/
const MAX_SECONDS = 999_999_999
/** RFC 3339 5.6. The groups are the date and the time without its offset. */
const DATE_TIME = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/

const TOO_LATE: Reply = reply(501, '5.5.4', 'This server does not hold a message that long')
const IN_THE_PAST: Reply = reply(501, '5.5.4', 'HOLDUNTIL is in the past')

/**
 * For a server to which users submit mail (RFC 4865 3). Add it if something holds the mail and sends it on later.
 * @throws OptionError
 */
export function futureRelease({ maxSeconds, maxDate }: FutureReleaseOptions): ProtocolExtension {
  if (!Number.isInteger(maxSeconds) || maxSeconds < 1 || maxSeconds > MAX_SECONDS) {
    throw new OptionError('futureRelease.maxSeconds', maxSeconds, `a whole number from 1 to ${MAX_SECONDS}`)
  }
  if (maxDate !== undefined && !(maxDate.getTime() > 0)) {
    throw new OptionError('futureRelease.maxDate', maxDate, 'a Date after 1970')
  }
  const lastMs = maxDate?.getTime() ?? Infinity

  function hold(untilMs: number, envelope: Envelope, nowMs: number): Reply | undefined {
    // Each of the two parameters excludes the other.
    if (envelope.holdUntil !== undefined) return MALFORMED
    if (untilMs > Math.min(lastMs, nowMs + maxSeconds * 1_000)) return TOO_LATE
    envelope.holdUntil = new Date(untilMs)
    return undefined
  }

  return {
    keyword: 'FUTURERELEASE',
    advertise({ nowMs }) {
      // In whole minutes, so that the reply to EHLO stays the same for a minute.
      const untilMs = Math.min(lastMs, nowMs + maxSeconds * 1_000)
      return `${maxSeconds} ${utc(Math.floor(untilMs / 60_000) * 60_000)}`
    },
    lineOctets: { MAIL: 34 },
    mail: {
      HOLDFOR: {
        value: 'required',
        apply: (value, envelope, { nowMs }) =>
          INTERVAL.test(value) ? hold(nowMs + Number(value) * 1_000, envelope, nowMs) : MALFORMED,
      },
      HOLDUNTIL: {
        value: 'required',
        apply(value, envelope, { nowMs }) {
          const untilMs = parseDateTime(upperCase(value))
          if (untilMs === undefined) return MALFORMED
          return untilMs <= nowMs ? IN_THE_PAST : hold(untilMs, envelope, nowMs)
        },
      },
    },
  }
}

/** Parses a date and time of RFC 3339. Returns milliseconds since 1970; undefined if it is malformed, or if there is no such day. */
function parseDateTime(text: string): number | undefined {
  const [, day, time] = DATE_TIME.exec(text) ?? []
  if (day === undefined || time === undefined) return undefined
  const ms = Date.parse(text)
  const local = Date.parse(`${day}T${time}Z`)
  // Some runtimes take 30 February for 1 or 2 March.
  return Number.isNaN(ms) || Number.isNaN(local) || !utc(local).startsWith(`${day}T${time}`) ? undefined : ms
}

/** Formats a time as RFC 3339 does, in UTC and in whole seconds. */
function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
