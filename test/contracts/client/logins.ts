/** AUTH by each mechanism. */
import type { ClientCredentials } from '@postern/engine/client'
import {
  type ClientCheck,
  envelope,
  expectEqual,
  expectFailure,
  octets,
  recorded,
  SECURE,
  taken,
  type Way,
} from './check.ts'
import { PASSWORD, TOKEN, USER } from './server.ts'

const MESSAGE = octets('Subject: login\r\n\r\ntext\r\n')
const CREDENTIALS: ClientCredentials = { username: USER, password: PASSWORD, accessToken: () => TOKEN }
const WRONG: ClientCredentials = { username: USER, password: 'wrong', accessToken: 'wrong' }

export const BY_PLUS = 'a login by SCRAM-SHA-256-PLUS reaches the server'
export const BY_EXTERNAL = 'a login by EXTERNAL reaches the server'

function byMechanism(mechanism: string, ways: readonly Way[]): readonly ClientCheck[] {
  return [
    {
      name: `a login by ${mechanism} reaches the server`,
      ways,
      async run({ open }) {
        const { lines, trace } = recorded()
        const client = await open({ credentials: CREDENTIALS, mechanisms: [mechanism], trace })
        expectEqual(
          [client.isAuthenticated, taken(await client.send(envelope(), MESSAGE)).user],
          [true, USER],
          'the user',
        )
        const said = lines.join('\n')
        for (const secret of [PASSWORD, TOKEN, btoa(TOKEN)]) {
          if (said.includes(secret)) throw new Error('the trace shows a secret')
        }
        await client.quit()
      },
    },
  ]
}

export const logins: readonly ClientCheck[] = [
  ...['SCRAM-SHA-256-PLUS', 'OAUTHBEARER', 'XOAUTH2', 'PLAIN', 'LOGIN'].flatMap((name) => byMechanism(name, SECURE)),
  ...['SCRAM-SHA-256', 'CRAM-MD5'].flatMap((name) => byMechanism(name, ['clear', ...SECURE])),
  ...['PLAIN', 'LOGIN', 'OAUTHBEARER', 'XOAUTH2', 'CRAM-MD5', 'SCRAM-SHA-256'].map((mechanism): ClientCheck => ({
    name: `wrong credentials are refused by ${mechanism}`,
    ways: ['STARTTLS'],
    async run({ open }) {
      const attempt = open({ credentials: WRONG, mechanisms: [mechanism] })
      await expectFailure(attempt, { reason: 'login', stage: 'auth', code: 535, isTemporary: false })
    },
  })),
  {
    name: BY_EXTERNAL,
    ways: SECURE,
    async run({ open, ground }) {
      const { key, cert } = ground.certificate
      const client = await open({ credentials: { external: true }, tls: { key, cert } })
      expectEqual(taken(await client.send(envelope(), MESSAGE)).user, 'the owner of the certificate', 'the user')
      await client.quit()
    },
  },
  {
    name: 'the user and the password of a URL log in',
    ways: SECURE,
    async run({ url, ground }) {
      const login = `${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}`
      const client = await ground.connect(url.replace('//', `//${login}@`))
      expectEqual([client.user, taken(await client.send(envelope(), MESSAGE)).user], [USER, USER], 'the user')
      await client.quit()
    },
  },
  {
    name: 'a token that the server refuses is fetched once more',
    ways: ['implicit TLS'],
    async run({ open }) {
      const tokens = ['expired', TOKEN]
      const client = await open({ credentials: { username: USER, accessToken: async () => tokens.shift() ?? '' } })
      expectEqual([client.isAuthenticated, tokens.length], [true, 0], 'the login')
      await client.quit()
    },
  },
  {
    name: 'no secret is shown in clear',
    ways: ['clear'],
    async run({ open }) {
      const { lines, trace } = recorded()
      const credentials = { username: USER, accessToken: TOKEN }
      await expectFailure(open({ credentials, trace }), { stage: 'auth' })
      expectEqual(
        lines.filter((line) => line.startsWith('C: AUTH')),
        [],
        'AUTH',
      )
    },
  },
]
