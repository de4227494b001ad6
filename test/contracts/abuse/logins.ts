/** Logins by each mechanism, as steps, and the accounts that the server has. */
import { createHmac } from 'node:crypto'
import type { AuthOptions } from '@postern/engine'
import type { Random } from '../../kit/random.ts'
import { scramClient, type ScramClient, scramKeysOf } from '../../kit/scram.ts'
import { send, type Step, WAIT } from './session.ts'

const USER = 'ann'
const PASSWORD = 'secret'
const TOKEN = 'token-1'
/** The server has these. One iteration is enough, because nobody guesses here. */
const ITERATIONS = 1
const KEYS = scramKeysOf(PASSWORD, Buffer.from('0123456789abcdef'), ITERATIONS)

export const AUTH: AuthOptions = {
  allowWithoutTls: true,
  accounts: {
    checkPassword: ({ username, password }) =>
      username === USER && password === PASSWORD ? { user: USER } : undefined,
    sharedSecret: (username) => (username === USER ? PASSWORD : undefined),
    scramKeys: (username) => (username === USER ? KEYS : undefined),
    checkToken: (token) => (token === TOKEN ? { user: USER } : undefined),
  },
}

interface Login {
  readonly name: string
  /** How many commands and responses are refused. */
  readonly refusals: number
  begin(random: Random): Step[]
}

const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64')

function exchange(...texts: readonly string[]): Step[] {
  return texts.flatMap((text) => [send(`${text}\r\n`), WAIT])
}

const bearer = (token: string): string =>
  `n,a=${USER},\x01host=mx.example.com\x01port=25\x01auth=Bearer ${token}\x01\x01`
const google = (token: string): string => `user=${USER}\x01auth=Bearer ${token}\x01\x01`
const plain = (password: string): string => base64(`\0${USER}\0${password}`)
const first = (): string => base64(scramClient({ username: USER, password: PASSWORD }).first)

export const LOGINS: readonly Login[] = [
  { name: 'PLAIN', refusals: 0, begin: () => exchange(`AUTH PLAIN ${plain(PASSWORD)}`) },
  { name: 'PLAIN in two steps', refusals: 0, begin: () => exchange('AUTH PLAIN', plain(PASSWORD)) },
  { name: 'PLAIN refused', refusals: 1, begin: () => exchange(`AUTH PLAIN ${plain('wrong')}`) },
  { name: 'PLAIN cancelled', refusals: 1, begin: () => exchange('AUTH PLAIN', '*') },
  { name: 'LOGIN', refusals: 0, begin: () => exchange('AUTH LOGIN', base64(USER), base64(PASSWORD)) },
  {
    name: 'CRAM-MD5',
    refusals: 0,
    begin: () => [...exchange('AUTH CRAM-MD5'), { do: 'respond', how: 'CRAM-MD5', edits: [] }, WAIT],
  },
  {
    name: 'SCRAM-SHA-256',
    refusals: 0,
    begin(random) {
      const begun = random.below(2) === 0 ? [`AUTH SCRAM-SHA-256 ${first()}`] : ['AUTH SCRAM-SHA-256', first()]
      return [...exchange(...begun), { do: 'respond', how: 'SCRAM', edits: [] }, WAIT, ...exchange('')]
    },
  },
  { name: 'OAUTHBEARER', refusals: 0, begin: () => exchange(`AUTH OAUTHBEARER ${base64(bearer(TOKEN))}`) },
  {
    name: 'OAUTHBEARER refused',
    refusals: 1,
    begin: () => exchange(`AUTH OAUTHBEARER ${base64(bearer('expired'))}`, 'AQ=='),
  },
  { name: 'XOAUTH2', refusals: 0, begin: () => exchange('AUTH XOAUTH2', base64(google(TOKEN))) },
  { name: 'XOAUTH2 refused', refusals: 1, begin: () => exchange(`AUTH XOAUTH2 ${base64(google('expired'))}`, '') },
]

/** Responds to a challenge, which is text. The response is base64. */
export function respond(how: 'CRAM-MD5' | 'SCRAM', challenge: string): string {
  if (how === 'CRAM-MD5') {
    return base64(`${USER} ${createHmac('md5', PASSWORD).update(challenge, 'latin1').digest('hex')}`)
  }
  // The server answers an unknown user with many iterations, which are not worth their time here.
  if (!challenge.endsWith(`,i=${ITERATIONS}`)) return base64('c=biws,r=none,p=AAAA')
  const client: ScramClient = scramClient({ username: USER, password: PASSWORD })
  return base64(client.final(challenge).message)
}
