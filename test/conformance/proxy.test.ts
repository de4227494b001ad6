/** The PROXY protocol before a session: the client that it names, the trusted proxies, and missing or bad headers. */
import { setTimeout as sleep } from 'node:timers/promises'
import { addressRanges, createServer } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { describe, expect, test } from 'vitest'
import { bytesOf, ports, tlsTlv } from '../../packages/engine/test/proxy-encoder.ts'
import type { SocketClient } from '../kit/client/socket-client.ts'
import { eventually } from '../kit/waiting.ts'
import { binary, line, LOCAL, ProxiedService, REMOTE, securedBehind, type Sending } from './proxied.ts'
import { short } from '../kit/client/reply.ts'

const V6 = { family: 'ipv6', address: '2001:db8::7', port: 51_234 } as const
const SIX = [0x20, 0x01, 0x0d, 0xb8, ...Array<number>(11).fill(0)]
const MAIL = ['EHLO client.example', 'MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.com>']

describe('a trusted proxy', () => {
  test.each([
    ['version 1, IPv4', line(), REMOTE, LOCAL],
    ['version 1, IPv6', line(V6), V6, { family: 'ipv6', address: '2001:db8::25', port: 25 }],
    ['version 2, IPv4', binary(), REMOTE, LOCAL],
    [
      'version 2, IPv6, with a checksum',
      binary({ family: 0x21, addresses: ports([...SIX, 7], [...SIX, 0x25], 51_234, 25), withChecksum: true }),
      V6,
      { family: 'ipv6', address: '2001:db8::25', port: 25 },
    ],
  ])('with %s, the session is that of the client', async (_, header, remote, local) => {
    await using service = await ProxiedService.start()
    const client = await service.connect()
    // The server sends nothing before the proxy has named the client.
    expect(await client.isQuiet(50)).toBe(true)
    client.send(header)
    expect((await client.reply()).code).toBe(220)
    expect(service.seen).toEqual([{ remote, local, tls: undefined }])
    await client.expectAll([...MAIL, 'DATA'])
    client.send('x\r\n.\r\n')
    expect(short(await client.reply())).toBe('250 2.0.0')
    const literal = remote.family === 'ipv4' ? `[${remote.address}]` : `[IPv6:${remote.address}]`
    expect(service.traces).toEqual([expect.stringContaining(`from client.example (${literal})`)])
    expect(service.errors).toEqual([])
  })

  test.each([
    ['version 1', bytesOf(line())],
    ['version 2', binary({ withChecksum: true })],
  ])('%s may come byte by byte', async (_, header) => {
    await using service = await ProxiedService.start()
    const client = await service.connect()
    await client.sendPieces(Array.from(header, (octet) => Uint8Array.of(octet)))
    expect((await client.reply()).code).toBe(220)
    expect(service.seen).toMatchObject([{ remote: REMOTE, local: LOCAL }])
  })

  test('bytes behind the header in its packet are read as those of the client', async () => {
    await using service = await ProxiedService.start()
    const client = await service.connect(bytesOf(binary(), MAIL.map((command) => `${command}\r\n`).join('')))
    expect((await client.replies(4)).map(short)).toEqual(['220', '250', '250 2.1.0', '250 2.1.5'])
  })

  test('the session is the same wherever header and client bytes are cut', async () => {
    const server = createServer({ hostname: 'mx.example.com' })
    const overrides = { proxyProtocol: { trusted: addressRanges('all') } }
    for (const header of [bytesOf(line()), binary({ withChecksum: true })]) {
      const sent = bytesOf(header, 'NOOP\r\nQUIT\r\n')
      for (let cut = 1; cut < sent.length; cut++) {
        const [ours, theirs] = pair()
        const over = server.accept(theirs, overrides)
        await ours.write(sent.subarray(0, cut))
        await Promise.resolve()
        await ours.write(sent.subarray(cut))
        let received = ''
        for (;;) {
          const bytes = await ours.read()
          if (bytes === null) break
          received += Buffer.from(bytes).toString('latin1')
        }
        await Promise.all([ours.end(), over])
        expect(
          received.split('\r\n').map((text) => text.slice(0, 3)),
          `cut at ${cut}`,
        ).toEqual(['220', '250', '221', ''])
      }
    }
  })

  test.each([
    ['LOCAL', binary({ command: 0 })],
    ['LOCAL without addresses', binary({ command: 0, family: 0, addresses: bytesOf() })],
    ['UNSPEC', binary({ family: 0, addresses: bytesOf() })],
    ['UNKNOWN', bytesOf('PROXY UNKNOWN\r\n')],
  ])('with %s, as in a proxy’s own health check, the proxy’s own address counts', async (_, header) => {
    await using service = await ProxiedService.start()
    const client = await service.connect(header)
    expect((await client.reply()).code).toBe(220)
    expect((await client.command('QUIT')).code).toBe(221)
    const own = { family: 'ipv4', address: '127.0.0.1' }
    expect(service.seen).toMatchObject([
      { remote: { ...own, port: client.localPort }, local: { ...own, port: service.port } },
    ])
  })

  test('makes connections count for the address of the client', async () => {
    await using service = await ProxiedService.start({ options: { limits: { maxConnectionsPerAddress: 1 } } })
    const first = await service.connect(line())
    expect((await first.reply()).code).toBe(220)
    const second = await service.connect(binary())
    expect((await second.repliesToEnd()).map(short)).toEqual(['421 4.7.0'])
    const mapped = await service.connect('PROXY TCP6 ::ffff:192.0.2.7 ::1 1 25\r\n')
    expect((await mapped.repliesToEnd()).map(short)).toEqual(['421 4.7.0'])
    const other = await service.connect(line({ ...REMOTE, address: '192.0.2.8' }))
    expect((await other.reply()).code).toBe(220)
    await first.command('QUIT')
    await eventually(() => service.server.sessionCount === 1, 'the first session’s end')
    expect((await (await service.connect(line())).reply()).code).toBe(220)
  })

  test('a header does not count as talk before the greeting, but bytes of the client do', async () => {
    await using service = await ProxiedService.start({ options: { greetingDelayMs: 200 } })
    const patient = await service.connect(line())
    expect((await patient.reply()).code).toBe(220)
    const hasty = await service.connect(bytesOf(binary(), 'EHLO client.example\r\n'))
    expect((await hasty.repliesToEnd()).map(short)).toEqual(['554 5.5.0'])
  })

  test('STARTTLS works behind the header', async () => {
    await using service = await ProxiedService.start()
    const client = await service.connect(binary())
    await client.reply()
    expect((await client.command('EHLO client.example')).lines).toContain('STARTTLS')
    await client.expectAll(['STARTTLS'])
    await client.startTls()
    await client.expectAll([...MAIL, 'DATA'])
    client.send('x\r\n.\r\n')
    expect((await client.reply()).code).toBe(250)
    expect(service.traces[0]).toMatch(/\(\[192\.0\.2\.7\]\)\s+by mx\.example\.com with ESMTPS\s+\(TLSv1\.3 /)
  })

  test('commands right behind STARTTLS are dropped as they are without a proxy (CVE-2011-0411)', async () => {
    await using service = await ProxiedService.start()
    const client = await service.connect(bytesOf(binary(), 'EHLO client.example\r\nSTARTTLS\r\nMAIL FROM:<>\r\n'))
    expect((await client.repliesToEnd()).map(short)).toEqual(['220', '250', '220 2.0.0'])
  })

  test('the session is TLS if the proxy ended TLS', async () => {
    const auth = { mechanisms: ['PLAIN'] as const, authenticate: () => ({ user: 'ann' }) }
    await using service = await ProxiedService.start({ options: { auth, tls: { required: true } } })
    const tlvs = [
      { type: 2, value: bytesOf('mx.example.com') },
      tlsTlv(1, { 0x21: 'TLSv1.2', 0x23: 'ECDHE-RSA-AES128-GCM-SHA256' }),
    ]
    const client = await service.connect(binary({ tlvs }))
    await client.reply()
    const { lines } = await client.command('EHLO client.example')
    expect(lines).toContain('AUTH PLAIN')
    expect(lines).not.toContain('STARTTLS')
    expect(short(await client.command('STARTTLS'))).toBe('503 5.5.1')
    await client.expectAll([...MAIL, 'DATA'])
    client.send('x\r\n.\r\n')
    expect((await client.reply()).code).toBe(250)
    expect(service.seen).toMatchObject([{ tls: { protocol: 'TLSv1.2', serverName: 'mx.example.com' } }])
    expect(service.traces[0]).toMatch(/with ESMTPS\s+\(TLSv1\.2 ECDHE-RSA-AES128-GCM-SHA256\)/)
  })
})

describe('a trusted proxy with a bad header is closed without a greeting', () => {
  test.each([
    ['SMTP', 'EHLO client.example\r\n', /does not begin with a header/],
    ['a TLS ClientHello', bytesOf([0x16, 3, 1, 2, 0]), /does not begin with a header/],
    ['an invalid address', 'PROXY TCP4 192.0.2.256 198.51.100.25 1 25\r\n', /two addresses/],
    ['bare LF', 'PROXY UNKNOWN\n', /CRLF/],
    ['a line without end', `PROXY UNKNOWN ${'x'.repeat(200)}`, /over 107 octets/],
    ['version 3', binary({ version: 3 }), /the version is not 2/],
    ['a header too long', binary({ addresses: new Uint8Array(5_000) }).subarray(0, 16), /over 4096 octets/],
    ['a wrong checksum', binary({ tlvs: [{ type: 3, value: bytesOf('abcd') }] }), /checksum/],
  ])('%s', async (_, sent, reason) => {
    await using service = await ProxiedService.start()
    const client = await service.connect(sent)
    expect(['end', 'reset']).toContain(await client.closed())
    expect(service.seen).toEqual([])
    expect(service.errors).toHaveLength(1)
    const [error] = service.errors
    expect(error?.message).toMatch(reason)
    expect(error).toMatchObject({ name: 'ArrivalError', stage: 'proxy-header', remote: { address: '127.0.0.1' } })
    expect(error?.receivedOctets).toBeGreaterThan(0)
  })

  test('a proxy that leaves before or within its header is reported', async () => {
    await using service = await ProxiedService.start()
    for (const sent of ['', 'PROXY TCP4 192.0']) {
      const client = await service.connect(sent)
      client.end()
      expect(['end', 'reset']).toContain(await client.closed())
    }
    expect(service.errors.map(({ receivedOctets, timedOut }) => [receivedOctets, timedOut])).toEqual([
      [0, false],
      [16, false],
    ])
    const reset = await service.connect('PROXY')
    await sleep(20)
    reset.reset()
    await eventually(() => service.errors.length === 3, 'the third error')
    expect(service.seen).toEqual([])
  })

  test('a late header ends the connection, also if a byte comes now and then', async () => {
    await using service = await ProxiedService.start({ options: { limits: { proxyHeaderTimeoutMs: 200 } } })
    const silent = await service.connect()
    const slow = await service.connect()
    void (async () => {
      for (const octet of line()) {
        slow.send(octet)
        await sleep(30)
      }
    })()
    expect(['end', 'reset']).toContain(await silent.closed())
    expect(['end', 'reset']).toContain(await slow.closed())
    expect(service.errors).toHaveLength(2)
    for (const { message, timedOut } of service.errors) {
      expect(message).toContain('within 200 ms')
      expect(timedOut).toBe(true)
    }
    expect(service.server.sessionCount).toBe(0)
  })

  test('the oldest connection is closed if too many wait for a header', async () => {
    await using service = await ProxiedService.start({ options: { limits: { maxConnections: 2 } } })
    const oldest = await service.connect('PROXY')
    await sleep(20)
    const others = [await service.connect('PROXY'), await service.connect('PROXY')]
    expect(['end', 'reset']).toContain(await oldest.closed())
    expect(service.errors).toMatchObject([{ message: 'too many connections are waiting' }])
    for (const other of others) {
      other.send(line().slice('PROXY'.length))
      expect((await other.reply()).code).toBe(220)
    }
  })

  test('a client in its handshake stays, however many connections wait for a header', async () => {
    await using service = await ProxiedService.start({
      options: { limits: { maxConnections: 3 } },
      overrides: { implicitTls: true },
    })
    const owing: SocketClient[] = []
    const socket = await securedBehind(service.port, bytesOf(line()), async (header, hello, write) => {
      write(header)
      await sleep(50)
      for (let i = 0; i < 5; i++) owing.push(await service.connect('PROXY'))
      await eventually(() => service.errors.length === 3, 'three are given up')
      write(hello)
    })
    const greeting = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
    expect(greeting.toString()).toMatch(/^220 /)
    expect(service.seen).toMatchObject([{ remote: REMOTE }])
    expect(service.errors).toMatchObject(
      Array.from({ length: 3 }, () => ({ stage: 'proxy-header', message: 'too many connections are waiting' })),
    )
    for (const gone of owing.slice(0, 3)) expect(['end', 'reset']).toContain(await gone.closed())
    socket.destroy()
  })

  test('a server that stops ends waiting connections, and reports no error', async () => {
    await using service = await ProxiedService.start()
    const waiting = await service.connect('PROXY')
    await sleep(20)
    await service.server.close({ graceMs: 5_000 })
    expect(['end', 'reset']).toContain(await waiting.closed())
    expect(service.errors).toEqual([])
  })
})

describe('a proxy that is not trusted', () => {
  test('is served as a client of its own address, and its header is a bad command', async () => {
    await using service = await ProxiedService.start({ trusted: ['192.0.2.0/24', '::1'] })
    const client = await service.connect()
    expect((await client.reply()).code).toBe(220)
    expect(short(await client.command(line().trimEnd()))).toBe('500 5.5.1')
    expect((await client.command('QUIT')).code).toBe(221)
    const early = await service.connect(binary())
    expect((await early.reply()).code).toBe(220)
    expect((await early.reply()).code).toBe(500)
    expect(service.seen).toMatchObject([{ remote: { address: '127.0.0.1' } }, { remote: { address: '127.0.0.1' } }])
    expect(service.errors).toEqual([])
  })
})

describe('implicit TLS behind the header', () => {
  const overrides = { implicitTls: true }
  const sendings: Readonly<Record<string, Sending>> = {
    'in one packet': (header, hello, write) => write(bytesOf(header, hello)),
    async apart(header, hello, write) {
      write(header)
      await sleep(50)
      write(hello)
    },
    async 'in pieces'(header, hello, write) {
      const all = bytesOf(header, hello)
      for (let start = 0; start < all.length; start += 19) {
        write(all.subarray(start, start + 19))
        await sleep(1)
      }
    },
  }

  for (const [version, header] of Object.entries({ 'version 1': bytesOf(line()), 'version 2': binary() })) {
    test.each(Object.entries(sendings))(
      `${version}: the handshake works with header and ClientHello %s`,
      async (_, send) => {
        await using service = await ProxiedService.start({ overrides })
        const socket = await securedBehind(service.port, header, send)
        const greeting = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
        expect(greeting.toString()).toMatch(/^220 mx\.example\.com /)
        socket.write('EHLO client.example\r\n')
        const offered = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
        expect(offered.toString()).toMatch(/^250-/)
        expect(offered.toString()).not.toContain('STARTTLS')
        expect(service.seen).toMatchObject([
          { remote: REMOTE, local: LOCAL, tls: { protocol: 'TLSv1.3', serverName: 'mx.example.com' } },
        ])
        socket.destroy()
      },
    )
  }

  test('a connection from another address begins with TLS, without a header', async () => {
    await using service = await ProxiedService.start({ overrides, trusted: [] })
    const client = await service.connect()
    await client.startTls()
    expect((await client.reply()).code).toBe(220)
    expect(service.seen).toMatchObject([{ remote: { address: '127.0.0.1' }, tls: { protocol: 'TLSv1.3' } }])
    const refused = await service.connect(line())
    await refused.closed()
    expect(service.errors).toMatchObject([{ stage: 'tls-handshake' }])
  })

  test('TLS that the proxy ended needs no second handshake', async () => {
    await using service = await ProxiedService.start({ overrides })
    const client = await service.connect(binary({ tlvs: [tlsTlv(1, { 0x21: 'TLSv1.3' })] }))
    expect((await client.reply()).code).toBe(220)
    expect(service.seen).toMatchObject([{ tls: { protocol: 'TLSv1.3', cipher: '' } }])
  })

  test('a client that does not speak TLS is closed, and the error names the client', async () => {
    await using service = await ProxiedService.start({ overrides })
    const client = await service.connect(bytesOf(binary(), 'EHLO client.example\r\n'))
    await eventually(() => service.errors.length > 0, 'the error')
    expect(service.errors).toMatchObject([{ stage: 'tls-handshake', remote: REMOTE }])
    await eventually(() => client.socket.closed || client.socket.readableEnded, 'the close')
    expect(service.seen).toEqual([])
  })

  test('the handshake has a time limit, and its client counts as a connection', async () => {
    const limits = { tlsHandshakeTimeoutMs: 300, maxConnectionsPerAddress: 1 }
    await using service = await ProxiedService.start({ overrides, options: { limits } })
    const silent = await service.connect(line())
    await sleep(50)
    // The server sends no reply in clear.
    const over = await service.connect(line())
    expect(['end', 'reset']).toContain(await over.closed())
    expect(['end', 'reset']).toContain(await silent.closed())
    await eventually(() => service.errors.length > 0, 'the error')
    expect(service.errors).toMatchObject([{ stage: 'tls-handshake', message: expect.stringContaining('300 ms') }])
    const socket = await securedBehind(service.port, bytesOf(line()), sendings['in one packet'] as Sending)
    socket.destroy()
  })

  test('a server that stops ends unfinished handshakes', async () => {
    await using service = await ProxiedService.start({ overrides })
    const silent = await service.connect(line())
    await sleep(50)
    await service.server.close({ graceMs: 5_000 })
    expect(['end', 'reset']).toContain(await silent.closed())
  })
})
