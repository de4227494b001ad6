/** Deliver by: RFC 2852. The client gives a message a deadline, and says what to do after it. */
import { upperCase } from '../bytes/ascii.ts'
import { type Reply, reply } from '../grammar/reply.ts'
import { OptionError } from '../limits.ts'
import type { ProtocolExtension } from './extension.ts'
import { MALFORMED } from './parameters.ts'

export interface DeliverByOptions {
  /** The least time that the server promises for a message that comes back after its deadline, in seconds. Default: no minimum. */
  readonly minSeconds?: number
}

/** RFC 2852 4: `by-time;by-mode[by-trace]`. */
const BY = /^([+-]?\d{1,9});([NR])(T?)$/
const MAX_SECONDS = 999_999_999

const TOO_SOON: Reply = reply(555, '5.5.4', 'BY is sooner than this server promises')

/**
 * Add it if something reports mail that is late, and gives it up where the client asks for that.
 * @throws OptionError
 */
export function deliverBy({ minSeconds = 0 }: DeliverByOptions = {}): ProtocolExtension {
  if (!Number.isInteger(minSeconds) || minSeconds < 0 || minSeconds > MAX_SECONDS) {
    throw new OptionError('deliverBy.minSeconds', minSeconds, `a whole number from 0 to ${MAX_SECONDS}`)
  }
  return {
    keyword: 'DELIVERBY',
    advertise: () => (minSeconds === 0 ? '' : String(minSeconds)),
    lineOctets: { MAIL: 17 },
    mail: {
      BY: {
        value: 'required',
        apply(value, envelope, { nowMs }) {
          const [, time, letter, trace] = BY.exec(upperCase(value)) ?? []
          const seconds = Number(time)
          const mode = letter === 'R' ? 'return' : 'notify'
          // A deadline in the past cannot be kept. To report it is possible (RFC 2852 4).
          if (time === undefined || (mode === 'return' && seconds <= 0)) return MALFORMED
          if (mode === 'return' && seconds < minSeconds) return TOO_SOON
          envelope.deliverBy = { deadline: new Date(nowMs + seconds * 1_000), mode, trace: trace === 'T' }
        },
      },
    },
  }
}
