/** The beginning and the end of a connection, and commands without a message. */
import { type ClientCheck, expectEqual, expectFailure, ORDINARY, recorded, SECURE } from './check.ts'
import { HOSTNAME, MAX_BYTES } from './server.ts'

export const greeting: readonly ClientCheck[] = [
  {
    name: 'the client learns the name and the extensions of the server',
    ways: ORDINARY,
    async run({ way, open }) {
      const client = await open()
      const { name, extensions, isEsmtp, maxMessageBytes, greeting: first } = client.server
      expectEqual([name, isEsmtp, maxMessageBytes, first.code], [HOSTNAME, true, MAX_BYTES, 220], 'the server')
      for (const keyword of ['PIPELINING', 'CHUNKING', '8BITMIME', 'SMTPUTF8', 'DSN'])
        expectEqual(extensions.has(keyword), true, keyword)
      expectEqual(extensions.has('STARTTLS'), false, 'STARTTLS')
      expectEqual(client.tls !== undefined, SECURE.includes(way), 'TLS')
      await client.quit()
    },
  },
  {
    name: 'the client names itself by a domain with a dot, or by its address',
    ways: ['clear'],
    async run({ open }) {
      const { lines, trace } = recorded()
      const client = await open({ trace })
      const hello = lines.find((line) => line.startsWith('C: EHLO'))
      if (!/^C: EHLO (?:\[127\.0\.0\.1\]|[a-z\d-]+\.[a-z\d.-]+)$/i.test(hello ?? '')) throw new Error(`${hello}`)
      await client.quit()
    },
  },
  {
    name: 'commands without a message have their replies',
    ways: ORDINARY,
    async run({ open }) {
      const client = await open()
      expectEqual((await client.verify('bob')).text, 'Bob <bob@postern.example>', 'VRFY')
      expectEqual((await client.expand('all')).lines, ['<bob@postern.example>', '<cat@postern.example>'], 'EXPN')
      expectEqual((await client.help()).code, 214, 'HELP')
      await client.noop()
      await client.reset()
      expectEqual((await client.command('BOGUS')).code, 500, 'an unknown command')
      expectEqual(client.isOpen, true, 'isOpen')
      await client.quit()
      expectEqual(client.isOpen, false, 'isOpen after QUIT')
      await expectFailure(client.noop(), { reason: 'closed' })
    },
  },
  {
    name: 'a port on which nobody listens is a temporary failure',
    ways: ['clear'],
    async run({ ground }) {
      // Port 1 is for a service that nobody runs.
      await expectFailure(ground.connect('smtp://127.0.0.1:1'), {
        stage: 'connect',
        reason: 'closed',
        isTemporary: true,
      })
    },
  },
]
