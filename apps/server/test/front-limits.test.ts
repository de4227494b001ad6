/** The limits of a front: which clients may connect, for how long, and how it stops. */
import { getLogger } from '@logtape/logtape'
import { createServer, type Endpoint } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { frontGuard } from '@postern/runtime/websocket'
import { EventEmitter } from 'node:events'
import { expect, onTestFinished, test as every, vi } from 'vitest'
import { Front, type FrontOptions } from '../src/front/front.ts'
import { keepAlive, MAX_MISSED_PINGS, PING_MS } from '../src/front/keepalive.ts'
import { listenForPipes } from '../src/serve/pipe.ts'
import { partly } from '../../../test/kit/partly.ts'

/** Each run makes one in two of the tests without a table. */
const test = partly(every)

const secret = 'what this test and its server know, and nobody else'
const local: Endpoint = { family: 'ipv4', address: '192.0.2.1', port: 25 }
const V4: Endpoint = { family: 'ipv4', address: '192.0.2.7', port: 4711 }

async function frontWith(options: Partial<FrontOptions> = {}): Promise<Front> {
  const server = createServer({ hostname: 'mx.example.com' })
  const listener = await listenForPipes(server, {
    guard: frontGuard({ secrets: secret }),
    host: '127.0.0.1',
    port: 0,
    pathname: '/pipe',
    handshakeTimeoutMs: 5_000,
    lingerMs: 200,
    error: (error) => console.error(error),
    refused: (reason) => console.error(reason),
  })
  onTestFinished(async () => {
    await listener.close()
    await server.close({ graceMs: 0 })
  })
  return new Front({
    url: `ws://127.0.0.1:${listener.address.port}/pipe`,
    secret,
    hostname: 'front.example',
    connectTimeoutMs: 5_000,
    idleTimeoutMs: 60_000,
    sessionTimeoutMs: 60_000,
    maxConnections: 100,
    maxConnectionsPerAddress: 1,
    keepsForSubmission: false,
    log: getLogger(['postern', 'front-limits']),
    lingerMs: 200,
    ...options,
  })
}

/** Connects from an address. Returns the first line that the client gets, and a function that leaves. */
async function connect(front: Front, remote: Endpoint): Promise<{ said: string; leave: () => Promise<void> }> {
  const [client, near] = pair({ endpoints: [remote, local], lingerMs: 200 })
  const over = front.accept(near, false)
  const said = Buffer.from((await client.read()) ?? []).toString()
  const leave = (): Promise<void> => {
    client.destroy()
    return over
  }
  onTestFinished(leave)
  return { said, leave }
}

test('a front counts clients as a server does: an IPv6 network is one address', async () => {
  const front = await frontWith()
  const at = (address: string): Endpoint => ({ family: 'ipv6', address, port: 1 })
  const first = await connect(front, at('2001:db8::1'))
  expect(first.said).toMatch(/^220 mx/)
  expect((await connect(front, at('2001:db8::2'))).said).toMatch(/^421 4\.7\.0 front\.example /)
  expect((await connect(front, at('2001:db8:0:1::1'))).said).toMatch(/^220 /)
  await first.leave()
  expect((await connect(front, at('2001:db8::2'))).said).toMatch(/^220 /)
})

test('a client takes one place at the start of its TLS handshake, and no second one later', async () => {
  const front = await frontWith()
  const reserved = front.reserve(V4, false)
  expect(front.reserve(V4, false)).toBeUndefined()
  expect((await connect(front, V4)).said).toMatch(/^421 4\.7\.0 /)
  const [client, near] = pair({ endpoints: [V4, local], lingerMs: 200 })
  const over = front.accept(near, false, reserved)
  expect(Buffer.from((await client.read()) ?? []).toString()).toMatch(/^220 /)
  expect(front.reserve(V4, false)).toBeUndefined()
  client.destroy()
  await over
  const again = front.reserve(V4, false)
  expect(again).toBeDefined()
  again?.leave()
  expect((await connect(front, V4)).said).toMatch(/^220 /)
  void front.close(0)
  expect(front.reserve({ ...V4, address: '192.0.2.8' }, false)).toBeUndefined()
})

test('a front keeps places for new addresses and for submission, as a server does', async () => {
  const front = await frontWith({ maxConnections: 10, maxConnectionsPerAddress: 10, keepsForSubmission: true })
  const taken = (address: string, submission: boolean): boolean =>
    front.reserve({ ...V4, address }, submission) !== undefined
  const one = Array.from({ length: 10 }, () => taken('192.0.2.7', false))
  expect(one.filter(Boolean)).toHaveLength(8)
  expect([taken('192.0.2.8', false), taken('192.0.2.9', false)]).toEqual([true, false])
  expect([taken('192.0.2.10', true), taken('192.0.2.11', true)]).toEqual([true, false])
})

test('the longest allowed timeouts end no connection', async () => {
  const front = await frontWith({ idleTimeoutMs: 2_147_483_647, sessionTimeoutMs: 2_147_483_647 })
  const { said, leave } = await connect(front, V4)
  expect(said).toMatch(/^220 /)
  expect(front.connectionCount).toBe(1)
  await leave()
  expect(front.connectionCount).toBe(0)
})

test('a front that stops also ends a pipe that is still opening', async () => {
  const front = await frontWith()
  const [client, near] = pair({ endpoints: [V4, local], lingerMs: 200 })
  const over = front.accept(near, false)
  const closing = front.close(0)
  // The time is over before the token is signed.
  const dueAt = performance.now() + 20
  while (performance.now() < dueAt);
  expect(Buffer.from((await Promise.resolve(client.read()).catch(() => null)) ?? []).toString()).not.toMatch(/^220/)
  await Promise.all([closing, over])
})

test('the front pings a pipe and closes it without an answer; any message counts as one', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const events: string[] = []
  const socket = Object.assign(new EventEmitter(), {
    readyState: 1,
    ping: () => void events.push('ping'),
    terminate: () => void events.push('terminate'),
  })
  const stop = keepAlive(socket)
  for (const sign of ['pong', 'message']) {
    // A ping behind a window of bytes is answered late on a slow network.
    vi.advanceTimersByTime(MAX_MISSED_PINGS * PING_MS)
    expect(events.splice(0)).toEqual(Array(MAX_MISSED_PINGS).fill('ping'))
    socket.emit(sign)
  }
  vi.advanceTimersByTime((MAX_MISSED_PINGS + 1) * PING_MS)
  expect(events.splice(0)).toEqual([...Array<string>(MAX_MISSED_PINGS).fill('ping'), 'terminate'])
  stop()
  vi.advanceTimersByTime(10 * PING_MS)
  expect(events).toEqual([])
})
