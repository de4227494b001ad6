/** EXTERNAL: RFC 4422 appendix A. The client's TLS certificate names the user. */
import { checked, oneMessage, ZERO } from './credentials.ts'
import type { ClientMechanism } from './mechanism.ts'

export const external: ClientMechanism = {
  name: 'EXTERNAL',
  showsSecret: false,
  isSupported: (credentials) => credentials.external === true,
  start: ({ authorizationId = '' }) =>
    oneMessage('EXTERNAL', () => checked(authorizationId, ZERO, 'authorization id', 'EXTERNAL')),
}
