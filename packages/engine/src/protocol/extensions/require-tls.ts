/** REQUIRETLS: RFC 8689 2. The message's own field TLS-Required is not part of the protocol. */
import type { ProtocolExtension } from './extension.ts'

/**
 * On offer under TLS only. Add it if what sends the message on does so over TLS alone, and checks the next server's certificate
 * and that it offers REQUIRETLS (RFC 8689 4.2). That holds for bounces too (5). Mail that is only kept needs none of it.
 */
export const requireTls: ProtocolExtension = {
  keyword: 'REQUIRETLS',
  advertise: ({ isSecure }) => (isSecure ? '' : null),
  lineOctets: { MAIL: 11 },
  mail: {
    REQUIRETLS: {
      value: 'none',
      apply(_, envelope) {
        envelope.requireTls = true
      },
    },
  },
}
