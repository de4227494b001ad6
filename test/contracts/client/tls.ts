/** TLS that is asked for, and what may go wrong with it. */
import { type ClientCheck, expectEqual, expectFailure, recorded, SECURE } from './check.ts'

export const ANY_CERTIFICATE =
  'any certificate will do if nobody asked for TLS, and none but a trusted one with credentials'

export const tls: readonly ClientCheck[] = [
  {
    name: 'a certificate for another name is refused',
    ways: SECURE,
    async run({ way, open }) {
      const attempt = open({ tls: { servername: 'other.example' } })
      await expectFailure(attempt, { reason: 'tls', stage: way === 'STARTTLS' ? 'starttls' : 'connect' })
    },
  },
  {
    name: 'a certificate from nobody is refused',
    ways: ['untrusted server'],
    async run({ open }) {
      await expectFailure(open(), { reason: 'tls', stage: 'starttls' })
    },
  },
  {
    name: ANY_CERTIFICATE,
    ways: ['untrusted server'],
    async run({ url, ground }) {
      const relay = url.replace('smtp+starttls:', 'smtp:')
      const client = await ground.connect(relay)
      expectEqual([client.tls !== undefined, client.tls?.peerCertificate?.verified], [true, false], 'TLS')
      await client.quit()
      const credentials = { username: 'a', password: 'b' }
      await expectFailure(ground.connect(relay, { credentials }), { reason: 'tls', stage: 'starttls' })
      await expectFailure(ground.connect(relay, { tls: { verify: true } }), { reason: 'tls', stage: 'starttls' })
    },
  },
  {
    name: 'a server that speaks in clear where TLS should begin is a failure of TLS',
    ways: ['clear'],
    async run({ url, ground }) {
      const attempt = ground.connect(url.replace('smtp:', 'smtps:'))
      await expectFailure(attempt, { reason: 'tls', stage: 'connect', isTemporary: true })
    },
  },
  {
    name: 'the client says nothing in clear if the server does not offer the STARTTLS that was asked for',
    ways: ['clear'],
    async run({ open }) {
      const { lines, trace } = recorded()
      const credentials = { username: 'a', password: 'b' }
      await expectFailure(open({ startTls: 'required', credentials, trace }), { reason: 'tls', stage: 'starttls' })
      const said = lines.filter((line) => line.startsWith('C: ')).map((line) => line.split(' ')[1])
      expectEqual(
        said.filter((verb) => verb !== 'QUIT'),
        ['EHLO'],
        'what the client said',
      )
    },
  },
]
