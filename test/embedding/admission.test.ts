/** Who is counted as one client: an IPv4 address, an IPv6 network of 64 bits, and never a Unix socket. */
import { createServer, type Duplex, type Endpoint, type Place, type Server } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { expect, test } from 'vitest'

const HERE: Endpoint = { family: 'ipv6', address: '2001:db8::25', port: 25 }

/** Connects from `address`; what the server says first, and the client's end. */
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

  // A place is given back.
  client.destroy()
  await server.close({ graceMs: 0 })
  expect(server.sessionCount).toBe(0)
})

test('a place that was given back can be taken again', async () => {
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

test("a place that was reserved is the session's, and free when that is over", async () => {
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

  // What came to nothing gives it back too.
  server.reserve(remote)?.leave()
  const last = server.reserve(remote)
  expect(last).toBeDefined()
  await server.close()
  expect(server.reserve({ ...remote, address: '192.0.2.2' })).toBeUndefined()
  const [goodbye] = await greetingFor(server, 'ipv4', remote.address, last)
  expect([goodbye, server.sessionCount]).toEqual(['421 4.3.2', 0])
})

test('a connection that breaks as it is accepted gives its place back', async () => {
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
