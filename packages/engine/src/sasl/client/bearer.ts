/** OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's and Microsoft's form of it): the client shows a token. */
import { FIELD_END, writeGs2 } from '../gs2.ts'
import { octetsOf } from '../text.ts'
import { actsAsItself, checked } from './credentials.ts'
import { type ClientCredentials, type ClientMechanism, type ClientSaslPeer, MechanismError } from './mechanism.ts'

const CONTROL = /[\0-\x1f\x7f]/
/** Whatever is not printable ASCII. RFC 6750 2.1 allows fewer characters, but some services use others. */
const NOT_TOKEN = /[^\x21-\x7e]|^$/

export const oauthBearer: ClientMechanism = makeMechanism({
  name: 'OAUTHBEARER',
  isSupported: () => true,
  write: ({ username = '', authorizationId }, { host, port }, token) => [
    writeGs2({ flag: 'n' }, nameOf(authorizationId ?? username, 'OAUTHBEARER')),
    ...(host === '' ? [] : [`host=${host}`]),
    ...(port === 0 ? [] : [`port=${port}`]),
    `auth=Bearer ${token}`,
  ],
  // RFC 7628 3.2.3
  afterError: FIELD_END,
})

export const xoauth2: ClientMechanism = makeMechanism({
  name: 'XOAUTH2',
  isSupported: (credentials) => (credentials.username ?? '') !== '' && actsAsItself(credentials),
  write: ({ username = '' }, _, token) => [`user=${nameOf(username, 'XOAUTH2')}`, `auth=Bearer ${token}`],
  afterError: '',
})

interface BearerForm {
  readonly name: string
  isSupported(credentials: ClientCredentials): boolean
  /** Writes the fields of the message. */
  write(credentials: ClientCredentials, peer: ClientSaslPeer, token: string): readonly string[]
  /** The response to an error. */
  readonly afterError: string
}

function makeMechanism({ name, isSupported, write, afterError }: BearerForm): ClientMechanism {
  return {
    name,
    showsSecret: true,
    isSupported: (credentials) => credentials.accessToken !== undefined && isSupported(credentials),
    start(credentials, peer) {
      let isRefused = false
      return {
        async initial() {
          const { accessToken } = credentials
          const given: unknown = typeof accessToken === 'function' ? await accessToken() : accessToken
          if (typeof given !== 'string') throw new MechanismError('accessToken gives no text')
          const token = checked(given, NOT_TOKEN, 'access token', name)
          return octetsOf([...write(credentials, peer, token), '', ''].join(FIELD_END))
        },
        // The challenge is an error in JSON. The server refuses the login as soon as the client has responded to it.
        next() {
          if (isRefused) throw new MechanismError(`the server asks for more than ${name} has`)
          isRefused = true
          return octetsOf(afterError)
        },
      }
    },
  }
}

function nameOf(name: string, mechanism: string): string {
  return checked(name, CONTROL, 'user name', mechanism)
}
