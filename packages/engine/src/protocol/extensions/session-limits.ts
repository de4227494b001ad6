/** LIMITS: RFC 9422. It tells the client the limits of a session, so that the client splits its mail before it is refused. */
import type { Limits } from '../limits.ts'
import type { ProtocolExtension } from './extension.ts'

/** RFC 9422 4: a value has six digits at most. A larger limit is as good as this one. */
const MAX_VALUE = 999_999

/** A limit that is Infinity is not announced. */
export const sessionLimits: ProtocolExtension = {
  keyword: 'LIMITS',
  advertise({ limits }) {
    let text = texts.get(limits)
    if (text === undefined) texts.set(limits, (text = textOf(limits)))
    return text
  },
}

/** The limits of a server never change, and each client asks for them. */
const texts = new WeakMap<Limits, string>()

function textOf(limits: Limits): string {
  const values = Object.entries({
    MAILMAX: limits.maxTransactions,
    RCPTMAX: limits.maxRecipients,
    RCPTDOMAINMAX: limits.maxRecipientDomains,
  })
  return values
    .filter(([, value]) => value !== Infinity)
    .map(([name, value]) => `${name}=${Math.min(value, MAX_VALUE)}`)
    .join(' ')
}
