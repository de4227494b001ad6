/** Delivery status notifications: RFC 3461 4. What a report is to say, and to whom, travels in parameters. */
import { upperCase } from '../ascii.ts'
import type { DsnNotify } from '../envelope.ts'
import type { ProtocolExtension } from '../extension.ts'
import { MALFORMED, decodeXtext } from '../parameters.ts'

const OUTCOMES: readonly string[] = ['SUCCESS', 'FAILURE', 'DELAY']

export const dsn: ProtocolExtension = {
  keyword: 'DSN',
  // RFC 3461 4.1 to 4.4: RET and ENVID, NOTIFY and ORCPT at their longest.
  lineOctets: { MAIL: 117, RCPT: 535 },
  mail: {
    RET: {
      value: 'required',
      apply(value, envelope) {
        const ret = upperCase(value)
        if (ret !== 'FULL' && ret !== 'HDRS') return MALFORMED
        envelope.ret = ret
      },
    },
    ENVID: {
      value: 'required',
      encoding: 'xtext',
      apply(value, envelope) {
        if (value.length > 100) return MALFORMED
        envelope.envelopeId = value
      },
    },
  },
  rcpt: {
    NOTIFY: {
      value: 'required',
      apply(value, forwardPath) {
        const notify = upperCase(value).split(',')
        const isKnown = notify.every((outcome) => OUTCOMES.includes(outcome))
        if (!(isKnown && new Set(notify).size === notify.length) && upperCase(value) !== 'NEVER') return MALFORMED
        forwardPath.notify = notify as DsnNotify[]
      },
    },
    ORCPT: {
      value: 'required',
      apply(value, forwardPath) {
        const [, addressType, encoded] = /^([A-Za-z0-9-]+);(.+)$/.exec(value) ?? []
        const address =
          encoded === undefined ? undefined : decodeXtext(encoded, upperCase(addressType ?? '') === 'UTF-8')
        if (addressType === undefined || address === undefined || value.length > 500) return MALFORMED
        forwardPath.originalRecipient = { addressType: addressType.toLowerCase(), address }
      },
    },
  },
}
