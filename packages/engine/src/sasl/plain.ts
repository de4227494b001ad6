/** PLAIN: RFC 4616. */
import type { Mechanism } from './mechanism.ts'
import { checkPassword } from './password.ts'
import { challenge, MALFORMED, textOf } from './text.ts'

export const plain: Mechanism = {
  name: 'PLAIN',
  showsPassword: true,
  isSupported: (accounts) => accounts.checkPassword !== undefined,
  start: (accounts) => ({
    next(response) {
      if (response === undefined) return challenge('')
      const [authorizationId, username, password, ...rest] = textOf(response)?.split('\0') ?? []
      if (authorizationId === undefined || password === undefined || rest.length > 0) return MALFORMED
      if (username === undefined || username === '' || password === '') return MALFORMED
      return checkPassword(accounts, { mechanism: 'PLAIN', username, password, authorizationId })
    },
  }),
}
