/** SIZE: RFC 1870. */
import { type Reply, reply } from '../grammar/reply.ts'
import type { ProtocolExtension } from './extension.ts'
import { MALFORMED } from './parameters.ts'

/** Refuses a message that is too large, or whose declared size is. */
export const TOO_LARGE: Reply = reply(552, '5.3.4', 'Message is larger than this server takes')

export const size: ProtocolExtension = {
  keyword: 'SIZE',
  advertise: ({ limits }) => String(limits.maxMessageBytes),
  lineOctets: { MAIL: 26 },
  mail: {
    SIZE: {
      value: 'required',
      apply(value, envelope, { limits }) {
        if (!/^\d{1,20}$/.test(value)) return MALFORMED
        envelope.declaredBytes = Number(value)
        return envelope.declaredBytes > limits.maxMessageBytes ? TOO_LARGE : undefined
      },
    },
  },
}
