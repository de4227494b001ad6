/** SMTPUTF8: RFC 6531 3. */
import type { ProtocolExtension } from './extension.ts'

export const smtpUtf8: ProtocolExtension = {
  keyword: 'SMTPUTF8',
  lineOctets: { MAIL: 10, VRFY: 10, EXPN: 10 },
  mail: {
    SMTPUTF8: {
      value: 'none',
      apply(_, envelope) {
        envelope.smtpUtf8 = true
      },
    },
  },
}
