/** PLAIN: RFC 4616. */
import { checked, hasPassword, oneMessage, ZERO } from './credentials.ts'
import type { ClientMechanism } from './mechanism.ts'

export const plain: ClientMechanism = {
  name: 'PLAIN',
  showsSecret: true,
  isSupported: hasPassword,
  start: ({ authorizationId = '', username = '', password = '' }) =>
    oneMessage('PLAIN', () =>
      [
        checked(authorizationId, ZERO, 'authorization id', 'PLAIN'),
        checked(username, ZERO, 'user name', 'PLAIN'),
        checked(password, ZERO, 'password', 'PLAIN'),
      ].join('\0'),
    ),
}
