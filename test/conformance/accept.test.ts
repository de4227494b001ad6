/** `accept` never rejects, and the server still stops, whatever a duplex or hook of an embedder throws. */
import { createServer, type Duplex, type ServerOptions, type SessionOverrides } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { expect, test } from 'vitest'
import { bytesOf } from '../../packages/engine/test/proxy-encoder.ts'
import { eventually } from '../kit/waiting.ts'

const hostname = 'mx.example.com'

function fail(): never {
  throw new Error('broken')
}

const EVERYONE = { trusted: { includes: () => true } }

test.each<[string, Partial<Duplex>, SessionOverrides?]>([
  ['trusted.includes', {}, { proxyProtocol: { trusted: { includes: fail } } }],
  ['read', { read: fail }],
  ['read, while a header is awaited,', { read: fail }, { proxyProtocol: EVERYONE }],
  ['read and destroy, while a header is awaited,', { read: fail, destroy: fail }, { proxyProtocol: EVERYONE }],
  ['startTls, before the greeting,', { startTls: fail }, { implicitTls: true }],
  ['startTls and destroy, before the greeting,', { startTls: fail, destroy: fail }, { implicitTls: true }],
  [
    'the state of TLS',
    {
      get tls(): never {
        return fail()
      },
    },
  ],
  ['write', { write: fail }],
  ['write and destroy', { write: fail, destroy: fail }],
  ['end and destroy', { end: fail, destroy: fail }],
  [
    'the address',
    {
      get remote(): never {
        return fail()
      },
    },
  ],
])('the session ends and its place is free if %s throws', async (_, broken, overrides) => {
  const errors: unknown[] = []
  const limits = { maxConnections: 1, idleTimeoutMs: 50 }
  const server = createServer({ hostname, limits, error: (error) => void errors.push(error) })
  const [ours, theirs] = pair({ lingerMs: 50 })
  await ours.write(bytesOf('QUIT\r\n'))
  const duplex = Object.create(theirs, Object.getOwnPropertyDescriptors(broken)) as Duplex
  for (const name of ['read', 'write', 'end', 'destroy'] as const) {
    // The methods of a pair need their own object as `this`.
    if (!Object.hasOwn(broken, name)) Object.defineProperty(duplex, name, { value: theirs[name].bind(theirs) })
  }
  await expect(server.accept(duplex, overrides)).resolves.toBeUndefined()
  expect(server.sessionCount).toBe(0)
  // Its place is free.
  const [client, served] = pair({ lingerMs: 50 })
  const over = server.accept(served)
  expect(Buffer.from((await client.read()) ?? []).toString()).toMatch(/^220 /)
  client.destroy()
  await over
  await server.close()
})

test('a failed header ends no other connection if destroy throws', async () => {
  const server = createServer({ hostname, limits: { proxyHeaderTimeoutMs: 20 } })
  const endless = (): Duplex => ({
    ...({ remote: { family: 'unknown', address: '', port: 0 } } as Pick<Duplex, 'remote'>),
    local: { family: 'unknown', address: '', port: 0 },
    read: () => new Promise(() => {}),
    write() {},
    end: async () => {},
    destroy: fail,
  })
  await server.accept(endless(), { proxyProtocol: EVERYONE })
  const waiting = [endless(), endless()].map((duplex) => server.accept(duplex, { proxyProtocol: EVERYONE }))
  await server.close()
  await Promise.all(waiting)
})

test('a connection over the limit ends no other connection if destroy throws', async () => {
  const server = createServer({ hostname, limits: { maxConnections: 1 } })
  const [client, served] = pair({ lingerMs: 50 })
  const over = server.accept(served)
  const [, other] = pair()
  const broken = Object.create(other, { destroy: { value: fail }, write: { value: fail } }) as Duplex
  await expect(server.accept(broken)).resolves.toBeUndefined()
  await expect(server.accept(broken, { implicitTls: true })).resolves.toBeUndefined()
  client.destroy()
  await over
})

test('an error hook that rejects causes no unhandled rejection', async () => {
  const told: unknown[] = []
  const error: ServerOptions['error'] = async (_, session) => {
    told.push(_)
    // A hook may forget that the session can be undefined.
    await Promise.reject(new Error(`of ${String(session?.id)}`))
  }
  const unhandled: unknown[] = []
  const listener = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', listener)
  try {
    const server = createServer({ hostname, error })
    const [client, served] = pair()
    await client.write(bytesOf('no header\r\n'))
    await server.accept(served, { proxyProtocol: EVERYONE })
    await eventually(() => told.length === 1, 'the error')
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(unhandled).toEqual([])
  } finally {
    process.off('unhandledRejection', listener)
  }
})

test('the oldest connections are closed if too many wait for a header, also if all come at once', async () => {
  const errors: unknown[] = []
  const limits = { maxConnections: 2 }
  const server = createServer({ hostname, limits, error: (error) => void errors.push(error) })
  const ends = Array.from({ length: 6 }, () => pair())
  const over = ends.map(([, served]) => server.accept(served, { proxyProtocol: EVERYONE }))
  await Promise.all(over.slice(0, 4))
  expect(errors).toMatchObject(Array.from({ length: 4 }, () => ({ message: 'too many connections are waiting' })))
  await server.close()
  await Promise.all(over)
})

test('clients are counted by their own IPv4 address, also in its IPv6 form', async () => {
  const server = createServer({ hostname, limits: { maxConnectionsPerAddress: 1 } })
  const local = { family: 'ipv6', address: '::1', port: 25 } as const
  async function greeted(address: string): Promise<string> {
    const [client, served] = pair({ endpoints: [{ family: 'ipv6', address, port: 1 }, local] })
    void server.accept(served)
    return Buffer.from((await client.read()) ?? [])
      .toString()
      .slice(0, 3)
  }
  expect(await greeted('::ffff:192.0.2.1')).toBe('220')
  expect(await greeted('::ffff:192.0.2.2')).toBe('220')
  expect(await greeted('::ffff:c000:201')).toBe('421')
  expect(await greeted('2001:db8::1')).toBe('220')
  expect(await greeted('2001:db8::2')).toBe('421')
  await server.close({ graceMs: 0 })
})
