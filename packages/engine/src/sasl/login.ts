/** LOGIN: draft-murchison-sasl-login. */
import type { Mechanism } from './mechanism.ts'
import { checkPassword } from './password.ts'
import { challenge, MALFORMED, textOf } from './text.ts'

export const login: Mechanism = {
  name: 'LOGIN',
  showsPassword: true,
  isSupported: (accounts) => accounts.checkPassword !== undefined,
  start(accounts) {
    let username: string | undefined
    return {
      next(response) {
        if (response === undefined) return challenge('Username:')
        const text = textOf(response)
        if (text === undefined || text.includes('\0')) return MALFORMED
        if (username === undefined) {
          username = text
          return challenge('Password:')
        }
        if (username === '') return MALFORMED
        return checkPassword(accounts, { mechanism: 'LOGIN', username, password: text, authorizationId: '' })
      },
    }
  },
}
