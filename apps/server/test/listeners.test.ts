/** Options of one listener in its URL: what is refused in one line, what the start block shows, and what holds on the wire. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SocketClient } from '../../../test/kit/client/socket-client.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { postern, serve } from '../../../test/kit/postern.ts'
import { sample } from '../../../test/kit/sample.ts'
import { readSettings } from '../src/config/settings.ts'
import { listenerOverrides, type ServerPolicy } from '../src/config/urls/listener-policy.ts'
import { parseListenUrl } from '../src/config/urls/listen-url.ts'
import { RUNTIME_NAMES, RUNTIMES } from './runtimes.ts'

const SERVER: ServerPolicy = { tlsRequired: false, authRequired: false, proxyFrom: [] }

function overridesOf(url: string, server = SERVER): object {
  const given = parseListenUrl(url)
  if (given === undefined) throw new Error(`${url} is no listen URL`)
  return listenerOverrides(given, server)
}

describe('a query of a listen URL', () => {
  test.each([
    ['smtp://*:25', {}],
    ['smtp://*:25?tls=required&auth=required', { tlsRequired: true, authRequired: true }],
    ['smtp://*:25?tls=off&auth=off', { startTls: false, auth: false }],
    ['smtp://*:25?addresses=lenient&size=10MiB', { addresses: 'lenient', maxMessageBytes: 10_485_760 }],
    ['submission://*:587?tls=required&auth=required', { tlsRequired: true, authRequired: true }],
    ['lmtp://127.0.0.1', { protocol: 'lmtp' }],
    ['lmtp+unix:/run/postern.sock?addresses=lenient', { protocol: 'lmtp', addresses: 'lenient' }],
    ['smtp+unix:/run/postern.sock?auth=required', { authRequired: true }],
    ['lmtp+fd:mail?addresses=lenient', { protocol: 'lmtp', addresses: 'lenient' }],
  ])('%s differs from the server by %j', (url, expected) => {
    expect(overridesOf(url)).toEqual(expected)
  })

  test('loosens what the server requires', () => {
    const server = { tlsRequired: true, authRequired: true, proxyFrom: ['10.0.0.0/8'] }
    expect(overridesOf('smtp://*:25?tls=offered&auth=offered&proxy=none', server)).toEqual({
      tlsRequired: false,
      authRequired: false,
    })
    expect(overridesOf('smtp+unix:/run/x', server)).toEqual({})
  })

  test('names the proxies of this listener alone', () => {
    const { proxyProtocol } = overridesOf('smtp://*:25?proxy=10.0.0.0/8,fd00::/8') as {
      proxyProtocol: { trusted: { includes(end: object): boolean } }
    }
    expect(proxyProtocol.trusted.includes({ family: 'ipv4', address: '10.1.2.3' })).toBe(true)
    expect(proxyProtocol.trusted.includes({ family: 'ipv4', address: '192.0.2.1' })).toBe(false)
  })

  test('LMTP has port 24', () => {
    expect(parseListenUrl('lmtp://127.0.0.1')).toMatchObject({ port: 24, protocol: 'lmtp', submission: false })
  })
})

const WRONG: readonly (readonly [url: string, said: string])[] = [
  ['smtp://*:0?tls=maybe', '"tls=maybe" is not tls=required, tls=offered, tls=off'],
  ['smtp://*:0?auth=', '"auth=" is not auth=required, auth=offered, auth=off'],
  ['smtp://*:0?addresses=any', '"addresses=any" is not addresses=strict, addresses=lenient'],
  ['smtp://*:0?colour=red', '"colour=red" is not an option of a smtp listener: tls, auth, addresses, proxy, size'],
  ['smtp://*:0?tls=off&tls=off', '"tls=off" is not allowed twice: give tls= once'],
  ['smtp://*:0?proxy=10.0.0.1/8', '"proxy=10.0.0.1/8" is not proxy= with an IP address'],
  ['smtp://*:0?size=0', '"size=0" is not size= with a size from'],
  ['smtps://*:0?tls=off', '"tls=off" is not tls=required'],
  ['submission://*:0?auth=offered', '"auth=offered" is not auth=required'],
  ['smtp+unix:/run/x?proxy=all', '"proxy=all" is not an option of a smtp listener: tls, auth, addresses, size, mode'],
  ['ws://127.0.0.1:0/pipe?tls=off', '"tls=off" is not an option of a ws listener: addresses, size'],
  ['smtp://127.0.0.1:2525,submission://127.0.0.1:587', 'is not one URL; give each address by a --listen of its own'],
  ['smtp+unix:/run/x?mode=0888', '"mode=0888" is not mode= with three or four octal digits, from 000 to 0777'],
  ['smtp+unix:/run/x?mode=1777', '"mode=1777" is not mode= with three'],
  ['smtp+unix:/run/x?mode=66', '"mode=66" is not mode= with three'],
  ['smtp+unix:/run/x?mode=666&mode=666', '"mode=666" is not allowed twice'],
  ['smtp://*:0?mode=0666', '"mode=0666" is not for this listener: mode= is for Unix sockets, such as smtp+unix:'],
  ['lmtp+fd:3?mode=0666', '"mode=0666" is not for this listener: mode= is for Unix sockets'],
  ['ws://127.0.0.1:0/pipe?mode=0666', '"mode=0666" is not for this listener: mode= is for Unix sockets'],
  ['lmtp://127.0.0.1:25', 'is not a port for LMTP: RFC 2033 forbids port 25'],
  ['lmtps://127.0.0.1:0', 'is not a URL such as smtp://127.0.0.1:2525'],
]

test.each(WRONG)('%s is refused: %s', async (listen, said) => {
  await expect(readSettings({ listen: [listen] }, {})).rejects.toThrow(said)
})

describe('one line and exit code 2', () => {
  const NEEDS = [
    ['smtp://127.0.0.1:0?tls=required', 'needs a certificate: give --tls-key'],
    ['smtp://127.0.0.1:0?tls=offered', 'needs a certificate: give --tls-key'],
    ['smtp://127.0.0.1:0?auth=required', 'needs a user who may send: give --users'],
    ['lmtp://127.0.0.1:0?auth=offered', 'needs a user who may send: give --users'],
  ] as const
  test.each(sample([...WRONG, ...NEEDS], 2))('%s says %s', async (listen, said) => {
    const { code, stdout, stderr } = await postern(['serve', '--store', 'memory:', '--listen', listen])
    expect({ code, stdout, lines: stderr.trim().split('\n').length }).toEqual({ code: 2, stdout: '', lines: 1 })
    expect(stderr).toContain(said)
  })

  test('a front takes neither LMTP nor options of a listener', async () => {
    for (const listen of ['lmtp://127.0.0.1:0', 'smtp://127.0.0.1:0?addresses=lenient']) {
      const args = ['front', '--listen', listen, '--to', 'ws://127.0.0.1:1/pipe', '--front-secret', 'x'.repeat(32)]
      const { code, stderr } = await postern(args)
      expect([code, stderr]).toEqual([2, expect.stringContaining('are only for a server')])
    }
  })
})

test.each(sample(RUNTIME_NAMES, 1))(
  'each listener has its own policy, on the wire and in the start block, on %s',
  async (runtime) => {
    const socket = join(temporaryDirectory(), 'lmtp.sock')
    const args = [
      '--store=memory:',
      '--self-signed',
      '--auth-without-tls',
      '--accept-any-login',
      'loopback',
      '--tls-required',
      '--listen=smtp://127.0.0.1:0?tls=off&auth=off&addresses=lenient',
      '--listen=smtp://127.0.0.1:0?tls=offered&auth=required&size=20KiB',
      '--listen=smtp://127.0.0.1:0',
      '--listen=lmtp://127.0.0.1:0?tls=offered&proxy=127.0.0.1',
      `--listen=lmtp+unix:${socket}?tls=off&mode=0606`,
    ]
    const server = await serve(args, { command: RUNTIMES[runtime] })
    const block = server.stdout
    expect(block).toMatch(/smtp:\/\/127\.0\.0\.1:\d+ \(no TLS, no AUTH, lenient addresses\)/)
    expect(block).toMatch(/smtp:\/\/127\.0\.0\.1:\d+ \(STARTTLS offered, AUTH required, messages up to 20KiB\)/)
    expect(block).toMatch(/smtp:\/\/127\.0\.0\.1:\d+ \(TLS required\)/)
    expect(block).toMatch(/lmtp:\/\/127\.0\.0\.1:\d+ \(STARTTLS offered, PROXY header from 127\.0\.0\.1\)/)
    expect(block).toContain(`lmtp+unix:${socket} (no TLS, permissions 0606)`)
    expect((await stat(socket)).mode & 0o777).toBe(0o606)

    // `serve` listens at one address of its own, before these.
    const [, loose, authenticated, strict, lmtp] = server.ports as [number, number, number, number, number]
    const said = async (port: number, lines: readonly string[]): Promise<string[]> => {
      using client = await SocketClient.connect(port)
      const replies = [(await client.reply()).raw]
      for (const line of lines) {
        await client.send(`${line}\r\n`)
        replies.push((await client.reply()).raw)
      }
      return replies
    }
    const bare = 'MAIL FROM:a@b.example'
    const path = 'MAIL FROM:<a@b.example>'
    const [, looseEhlo, looseMail] = await said(loose, ['EHLO a.example', bare])
    expect(looseEhlo).not.toMatch(/STARTTLS|AUTH/)
    expect(looseMail).toMatch(/^250 /)
    expect((await said(loose, ['EHLO a.example', 'AUTH PLAIN AGEAYg==', 'STARTTLS'])).slice(2)).toEqual([
      expect.stringMatching(/^502 5\.5\.1/),
      expect.stringMatching(/^502 5\.5\.1/),
    ])
    const [, ehlo, refused, , tooStrict, tooLarge] = await said(authenticated, [
      'EHLO a.example',
      path,
      'AUTH PLAIN AGEAYg==',
      bare,
      `${path} SIZE=30000`,
    ])
    expect(ehlo).toMatch(/STARTTLS/)
    expect(ehlo).toContain('SIZE 20480\r\n')
    expect([refused, tooStrict, tooLarge]).toEqual([
      expect.stringMatching(/^530 5\.7\.0 Auth/),
      expect.stringMatching(/^501 5\.5\.2/),
      expect.stringMatching(/^552 5\.3\.4/),
    ])
    expect((await said(strict, ['EHLO a.example', path])).at(-1)).toMatch(/^530 5\.7\.0 Must issue a STARTTLS/)

    using client = await SocketClient.connect(lmtp)
    await client.send('PROXY TCP4 192.0.2.7 192.0.2.1 4711 24\r\n')
    expect((await client.reply()).raw).toMatch(/^220 \S+ LMTP /)
    for (const line of ['LHLO a.example', path, 'RCPT TO:<b@c.example>', 'RCPT TO:<d@c.example>', 'DATA']) {
      await client.send(`${line}\r\n`)
      await client.reply()
    }
    await client.send('hi\r\n.\r\n')
    expect([(await client.reply()).code, (await client.reply()).code]).toEqual([250, 250])
    await server.says(/kept \S+ from <a@b\.example> to <b@c\.example>, <d@c\.example>, .*, LMTP/)
  },
)

test('XCLIENT and XFORWARD are for the addresses that the options name, and the log and the record have what they say', async () => {
  const server = await serve([
    '--store=memory:',
    '--log-format=json',
    '--xclient-from=127.0.0.0/8',
    '--xforward-from=192.0.2.0/24',
  ])
  using client = await SocketClient.greeted(server.port)
  const ehlo = await client.command('EHLO proxy.example', 250)
  expect(ehlo.raw).toContain('XCLIENT NAME')
  expect(ehlo.raw).not.toContain('XFORWARD')
  await client.command('XFORWARD NAME=a.example', 550)
  await client.command('XCLIENT NAME=mta.example ADDR=192.0.2.9 PORT=4711 LOGIN=ann', 220)
  const again = await client.command('EHLO mta.example', 250)
  expect(again.raw).not.toContain('XCLIENT')
  await client.command('XFORWARD NAME=first.example ADDR=198.51.100.4 SOURCE=REMOTE', 250)
  await client.command('MAIL FROM:<a@b.example>', 250)
  await client.command('RCPT TO:<c@d.example>', 250)
  await client.command('DATA', 354)
  await client.send('hi\r\n.\r\n')
  await client.expect(250)
  await server.says(/"message":"message kept"/)
  expect(server.log.find(({ message }) => message === 'message kept')).toMatchObject({
    remote: '192.0.2.9',
    remotePort: 4711,
    remoteName: 'mta.example',
    user: 'ann',
    with: 'ESMTPA',
    forwarded: { name: 'first.example', address: '198.51.100.4', source: 'REMOTE' },
  })
})

test('the log names each recipient of an LMTP message whom a hook refused alone', async () => {
  const config = join(import.meta.dirname, '../../../test/peers/lmtp.config.ts')
  const server = await serve([
    '--store=memory:',
    '--log-format=json',
    `--config=${config}`,
    '--listen',
    'lmtp://127.0.0.1:0',
  ])
  using client = await SocketClient.greeted(server.port)
  const to = ['each-ok', 'each-off', 'each-full'].map((name) => `RCPT TO:<${name}@a.example>`)
  for (const line of ['LHLO a.example', 'MAIL FROM:<>', ...to]) await client.command(line, 250)
  await client.command('DATA', 354)
  await client.send('hi\r\n.\r\n')
  expect([await client.reply(), await client.reply(), await client.reply()].map(({ code }) => code)).toEqual([
    250, 550, 452,
  ])
  await server.says(/each-full.*Mailbox is full/)
  const refusals = server.log.filter(({ message }) => message === 'refused')
  expect(refusals).toMatchObject([
    { verb: 'DATA', hook: 'data', to: 'each-off@a.example', reply: '550 5.2.1 Mailbox is off' },
    { verb: 'DATA', hook: 'data', to: 'each-full@a.example', reply: '452 4.2.2 Mailbox is full' },
  ])
})
