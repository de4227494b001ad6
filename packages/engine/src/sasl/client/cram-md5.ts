/** CRAM-MD5: RFC 2195. Anyone who reads the exchange can guess the password, and the server does not prove that it knows it. */
import { cramDigest } from '../md5.ts'
import { octetsOf } from '../text.ts'
import { actsAsItself, checked, hasPassword, ZERO } from './credentials.ts'
import { type ClientMechanism, MechanismError } from './mechanism.ts'

export const cramMd5: ClientMechanism = {
  name: 'CRAM-MD5',
  showsSecret: false,
  isSupported: (credentials) => hasPassword(credentials) && actsAsItself(credentials),
  start({ username = '', password = '' }) {
    let isAnswered = false
    return {
      initial: () => undefined,
      next(challenge) {
        if (isAnswered) throw new MechanismError('the server asks for more than CRAM-MD5 has')
        isAnswered = true
        return octetsOf(
          `${checked(username, ZERO, 'user name', 'CRAM-MD5')} ${cramDigest(octetsOf(password), challenge)}`,
        )
      },
    }
  },
}
