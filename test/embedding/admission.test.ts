/** Which connections count as one client: those of an IPv4 address or of an IPv6 /64. Those of a Unix socket never do. */
import { createServer, type Duplex, type Endpoint, type Place, type Server } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'

const HERE: Endpoint = { family: 'ipv6', address: '2001:db8::25', port: 25 }

/** Connects from `address`. Returns the first reply of the server, and the client's end. */
async function greetingFor(
  server: Server,
  family: Endpoint['family'],
  address: string,
  place?: Place,
): Promise<[string, Duplex]> {
  const [client, accepted] = pair({ endpoints: [{ family, address, port: 1025 }, HERE], lingerMs: 50 })
  void server.accept(accepted, {}, place)
  const bytes = await client.read()
  return [new TextDecoder().decode(bytes ?? undefined).slice(0, 9), client]
}

test.each<[string, Endpoint['family'], string, string, boolean]>([
  ['one IPv4 address', 'ipv4', '192.0.2.1', '192.0.2.1', true],
  ['two IPv4 addresses', 'ipv4', '192.0.2.1', '192.0.2.2', false],
  ['one IPv6 network', 'ipv6', '2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
  ['one IPv6 network, written in two ways', 'ipv6', '2001:db8::1', '2001:0DB8:0:0:1::', true],
  ['two IPv6 networks', 'ipv6', '2001:db8:1:2::1', '2001:db8:1:3::1', false],
  ['a Unix socket', 'unix', '/run/postern.sock', '/run/postern.sock', false],
])('%s', async (_, family, first, second, isOneClient) => {
  const server = createServer({ hostname: 'mx.example.com', limits: { maxConnectionsPerAddress: 1 } })
  const [greeting, client] = await greetingFor(server, family, first)
  expect(greeting).toBe('220 mx.ex')
  const [again, other] = await greetingFor(server, family, second)
  expect(again).toBe(isOneClient ? '421 4.7.0' : '220 mx.ex')
  other.destroy()

  // The first session gives its place back.
  client.destroy()
  await server.close({ graceMs: 0 })
  expect(server.sessionCount).toBe(0)
})

test('a place can be taken again after it was given back', async () => {
  const server = createServer({ hostname: 'mx.example.com', limits: { maxConnections: 1 } })
  for (let i = 0; i < 3; i++) {
    const [greeting, client] = await greetingFor(server, 'ipv4', `192.0.2.${i}`)
    expect(greeting).toBe('220 mx.ex')
    await client.write(new TextEncoder().encode('QUIT\r\n'))
    await client.read()
    await client.end()
    await expect.poll(() => server.sessionCount).toBe(0)
  }
})

test('a reserved place belongs to the session, and is free when the session ends', async () => {
  const server = createServer({ hostname: 'mx.example.com', limits: { maxConnectionsPerAddress: 1 } })
  const remote: Endpoint = { family: 'ipv4', address: '192.0.2.1', port: 1025 }
  const place = server.reserve(remote)
  expect(server.reserve(remote)).toBeUndefined()
  expect((await greetingFor(server, 'ipv4', remote.address))[0]).toBe('421 4.7.0')
  const [greeting, client] = await greetingFor(server, 'ipv4', remote.address, place)
  expect([greeting, server.sessionCount]).toEqual(['220 mx.ex', 1])
  expect(server.reserve(remote)).toBeUndefined()
  client.destroy()
  await expect.poll(() => server.sessionCount).toBe(0)

  // A failed connection gives its place back too.
  server.reserve(remote)?.leave()
  const last = server.reserve(remote)
  expect(last).toBeDefined()
  await server.close()
  expect(server.reserve({ ...remote, address: '192.0.2.2' })).toBeUndefined()
  const [goodbye] = await greetingFor(server, 'ipv4', remote.address, last)
  expect([goodbye, server.sessionCount]).toEqual(['421 4.3.2', 0])
})

test('a connection that breaks while it is accepted gives its place back', async () => {
  const server = createServer({ hostname: 'mx.example.com', limits: { maxConnections: 1 } })
  const [, served] = pair()
  const broken = Object.create(served, {
    tls: {
      get() {
        throw new Error('broken')
      },
    },
    destroy: { value: () => {} },
  }) as Duplex
  await server.accept(broken, {}, server.reserve(served.remote))
  await server.accept(broken, { implicitTls: true }, server.reserve(served.remote))
  expect((await greetingFor(server, 'ipv4', '192.0.2.1'))[0]).toBe('220 mx.ex')
})

describe('when all places are taken', () => {
  /** Limits with which a session may be displaced after 300 ms. */
  const limits = { maxConnections: 2, idleTimeoutMs: 9_000 }
  const CROWD = '192.0.2.1'

  /** Connects until the server accepts. */
  async function comesIn(server: Server, address: string): Promise<Duplex> {
    for (;;) {
      const [greeting, client] = await greetingFor(server, 'ipv4', address)
      if (greeting === '220 mx.ex') return client
      client.destroy()
      await sleep(50)
    }
  }

  async function send(client: Duplex, text: string): Promise<string> {
    await client.write(new TextEncoder().encode(text))
    return new TextDecoder().decode((await client.read()) ?? undefined)
  }

  /** Returns the reply to the last of the commands. */
  async function say(client: Duplex, ...commands: readonly string[]): Promise<string> {
    let reply = ''
    for (const command of commands) reply = await send(client, `${command}\r\n`)
    return reply
  }

  test('the longest idle session gets 421, and a new connection takes its place', async () => {
    const server = createServer({ hostname: 'mx.example.com', limits })
    const [, first] = await greetingFor(server, 'ipv4', CROWD)
    await sleep(20)
    const [, second] = await greetingFor(server, 'ipv4', CROWD)
    await sleep(20)
    // The first session is not displaced, because it has just sent a command.
    expect(await say(first, 'NOOP')).toMatch(/^250 /)
    await sleep(350)
    // A client with equally many connections displaces none.
    expect((await greetingFor(server, 'ipv4', CROWD))[0]).toBe('421 4.7.0')
    await comesIn(server, '192.0.2.2')
    const goodbye = new TextDecoder().decode((await second.read()) ?? undefined)
    expect(goodbye).toBe('421 4.7.0 Too many connections, and this one was idle\r\n')
    expect(await second.read()).toBeNull()
    expect(await say(first, 'NOOP')).toMatch(/^250 /)
    await server.close({ graceMs: 0 })
  })

  test('a connection in its handshake is displaced too, and the caller is told', async () => {
    const server = createServer({ hostname: 'mx.example.com', limits })
    const remote: Endpoint = { family: 'ipv4', address: CROWD, port: 1025 }
    const given: string[] = []
    const first = server.reserve(remote, ({ message }) => given.push(message))
    await sleep(20)
    // A connection without a way to cancel it stays.
    const second = server.reserve(remote)
    await comesIn(server, '192.0.2.2')
    expect(given).toEqual(['too many connections'])
    // Another connection has its place. If the handshake still succeeds, no place is left for it.
    expect((await greetingFor(server, 'ipv4', CROWD, first))[0]).toBe('421 4.7.0')
    first?.leave()
    expect((await greetingFor(server, 'ipv4', CROWD))[0]).toBe('421 4.7.0')
    expect((await greetingFor(server, 'ipv4', CROWD, second))[0]).toBe('220 mx.ex')
    await server.close({ graceMs: 0 })
  })

  test('no more than 100 displaced connections exist at a time, however many are displaced at once', async () => {
    const server = createServer({
      hostname: 'mx.example.com',
      limits: { ...limits, maxConnections: 400, maxConnectionsPerAddress: 400 },
    })
    const clients: Duplex[] = []
    for (let i = 0; i < 360; i++) clients.push((await greetingFor(server, 'ipv4', CROWD))[1])
    await sleep(350)
    // No displaced client reads its reply.
    for (let i = 0; i < 300; i++) {
      const [, accepted] = pair({
        endpoints: [{ family: 'ipv4', address: `10.0.${i >> 7}.${i & 127}`, port: 1 }, HERE],
      })
      void server.accept(accepted)
    }
    await expect.poll(() => server.sessionCount).toBe(400 + 100)
    await server.close({ graceMs: 0 })
    expect(server.sessionCount).toBe(0)
  })

  test('a session stays if it is in a message, runs a hook, or is logged in', async () => {
    let answer = (): void => {}
    const answered = new Promise<void>((resolve) => (answer = resolve))
    let taken = 0
    const server = createServer({
      hostname: 'mx.example.com',
      limits: { ...limits, maxConnections: 4 },
      auth: { authenticate: () => ({ user: 'ann' }), allowWithoutTls: true },
      rcpt: (to) => (to.localPart === 'slow' ? answered.then(() => undefined) : undefined),
      async data(message) {
        await message.bytes()
        taken++
      },
    })
    const begin = ['EHLO a.example', 'MAIL FROM:<a@example.org>']
    const [, inMessage] = await greetingFor(server, 'ipv4', CROWD)
    expect(await say(inMessage, ...begin, 'RCPT TO:<b@example.com>', 'DATA')).toMatch(/^354 /)
    await inMessage.write(new TextEncoder().encode('Subject: a'))
    const [, betweenChunks] = await greetingFor(server, 'ipv4', CROWD)
    await say(betweenChunks, ...begin, 'RCPT TO:<b@example.com>')
    expect(await send(betweenChunks, 'BDAT 1\r\na')).toMatch(/^250 /)
    const [, inHook] = await greetingFor(server, 'ipv4', CROWD)
    await say(inHook, ...begin)
    const slow = say(inHook, 'RCPT TO:<slow@example.com>')
    const [, ofUser] = await greetingFor(server, 'ipv4', CROWD)
    expect(await say(ofUser, 'EHLO a.example', `AUTH PLAIN ${btoa('\0ann\0secret')}`)).toMatch(/^235 /)
    await sleep(1_000)
    expect((await greetingFor(server, 'ipv4', '192.0.2.2'))[0]).toBe('421 4.7.0')

    answer()
    expect(await slow).toMatch(/^250 /)
    expect(await send(inMessage, '\r\n\r\n.\r\n')).toMatch(/^250 /)
    expect(await send(betweenChunks, 'BDAT 0 LAST\r\n')).toMatch(/^250 /)
    expect(taken).toBe(2)
    // Now these sessions are idle like any other.
    await comesIn(server, '192.0.2.2')
    await comesIn(server, '192.0.2.3')
    expect(await say(ofUser, 'NOOP')).toMatch(/^250 /)
    await server.close({ graceMs: 0 })
  })
})
