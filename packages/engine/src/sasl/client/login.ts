/** LOGIN: draft-murchison-sasl-login. The client does not read the prompts, because servers word them in their own way. */
import { octetsOf } from '../text.ts'
import { actsAsItself, checked, hasPassword, ZERO } from './credentials.ts'
import { type ClientMechanism, MechanismError } from './mechanism.ts'

export const login: ClientMechanism = {
  name: 'LOGIN',
  showsSecret: true,
  isSupported: (credentials) => hasPassword(credentials) && actsAsItself(credentials),
  start({ username = '', password = '' }) {
    const answers = [checked(username, ZERO, 'user name', 'LOGIN'), checked(password, ZERO, 'password', 'LOGIN')]
    return {
      initial: () => undefined,
      next() {
        const answer = answers.shift()
        if (answer === undefined) throw new MechanismError('the server asks for more than LOGIN has')
        return octetsOf(answer)
      },
    }
  },
}
