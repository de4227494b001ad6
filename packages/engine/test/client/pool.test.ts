/** Connections that several messages share. */
import { reply } from '@postern/engine'
import { type Client, ClientError, createPool, openClient, type Pool, type PoolOptions } from '@postern/engine/client'
import { expect, test } from 'vitest'
import { type House, house } from './house.ts'
import { type Step, scripted } from './scripted.ts'

const ENVELOPE = { reversePath: 'a@x.example', forwardPaths: ['b@y.example'] }

interface Pooled extends House {
  readonly pool: Pool
  readonly clients: Client[]
}

/** Makes a pool of connections to a server. */
function pooled(options: Partial<PoolOptions> = {}, server: Parameters<typeof house>[0] = {}): Pooled {
  const clients: Client[] = []
  const own = house(server)
  const pool = createPool({
    async connect() {
      const client = await own.connect()
      clients.push(client)
      return client
    },
    ...options,
  })
  return { ...own, pool, clients }
}

async function errorOf(attempt: Promise<unknown>): Promise<ClientError> {
  const error: unknown = await attempt.catch((reason: unknown) => reason)
  if (error instanceof ClientError) return error
  throw new Error('there was no ClientError', { cause: error })
}

test('messages one after another share a connection', async () => {
  const { pool, clients, arrived } = pooled()
  for (let i = 0; i < 3; i++) await pool.send(ENVELOPE, `Subject: ${i}\r\n`)
  await pool.close()
  expect([clients.length, clients[0]?.isOpen]).toEqual([1, false])
  expect(arrived.map(({ text }) => text)).toEqual(['Subject: 0\r\n', 'Subject: 1\r\n', 'Subject: 2\r\n'])
})

test('messages at the same time have so many connections, and the rest waits', async () => {
  const { pool, clients, arrived } = pooled({ maxConnections: 3 })
  await Promise.all(Array.from({ length: 20 }, () => pool.send(ENVELOPE, 'x')))
  expect([clients.length, arrived.length]).toEqual([3, 20])
  await pool.close()
  expect(clients.some(({ isOpen }) => isOpen)).toBe(false)
})

test('a connection ends after so many messages', async () => {
  const { pool, clients, arrived } = pooled({ maxMessagesPerConnection: 2, maxConnections: 1 })
  await Promise.all(Array.from({ length: 5 }, () => pool.send(ENVELOPE, 'x')))
  await pool.close()
  expect([clients.length, arrived.length]).toEqual([3, 5])
})

test('a connection without a message ends', async () => {
  const { pool, clients } = pooled({ idleMs: 1 })
  await pool.send(ENVELOPE, 'x')
  while (clients[0]?.isOpen === true) await new Promise((resolve) => void setTimeout(resolve, 1))
  await pool.send(ENVELOPE, 'x')
  expect(clients).toHaveLength(2)
  await pool.close()
})

test('a message that the server refuses leaves the connection for the next one', async () => {
  const { pool, clients, arrived } = pooled(
    {},
    { rcpt: ({ address }) => (address === 'b@y.example' ? undefined : reply(550, '5.1.1', 'Unknown')) },
  )
  const error = await errorOf(pool.send({ ...ENVELOPE, forwardPaths: ['c@y.example'] }, 'x'))
  await pool.send(ENVELOPE, 'x')
  expect([error.code, clients.length, arrived.length]).toEqual([550, 1, 1])
  await pool.close()
})

const HELLO: readonly Step[] = ['220 mx\r\n', { waitFor: 'EHLO' }, '250-mx\r\n250 PIPELINING\r\n']
const OK = '250 2.0.0 OK\r\n'
const MESSAGE: readonly Step[] = [{ waitFor: 'DATA\r\n' }, `${OK + OK}354 Go on\r\n`, { waitFor: '\r\n.\r\n' }, OK]

/** Makes a pool of connections to scripts, one for each. */
function poolOf(...scripts: (readonly Step[])[]): { pool: Pool; left(): number } {
  const pool = createPool({
    connect(signal) {
      const { duplex } = scripted([...HELLO, ...(scripts.shift() ?? [])])
      return openClient(duplex, { hostname: 'client.example.com', signal, timeouts: { quitMs: 20 } })
    },
    maxConnections: 1,
  })
  return { pool, left: () => scripts.length }
}

test.each<[string, readonly Step[]]>([
  ['ended after a message', [...MESSAGE, { act: 'end' }]],
  ['said 421 after a message', [...MESSAGE, '421 4.4.2 Idle\r\n', { act: 'end' }]],
  ['says 421 to the next MAIL', [...MESSAGE, { waitFor: 'MAIL' }, '421 4.4.2 Idle\r\n', { act: 'end' }]],
  ['breaks at the next MAIL', [...MESSAGE, { waitFor: 'MAIL' }, { act: 'destroy' }]],
])('a connection that %s is replaced', async (_what, script) => {
  const { pool, left } = poolOf(script, MESSAGE)
  await pool.send(ENVELOPE, 'x')
  await pool.send(ENVELOPE, 'x')
  expect(left()).toBe(0)
  await pool.close()
})

test('a connection is replaced once', async () => {
  const breaks: readonly Step[] = [{ waitFor: 'MAIL' }, { act: 'destroy' }]
  const { pool, left } = poolOf(breaks, breaks, MESSAGE)
  expect(await errorOf(pool.send(ENVELOPE, 'x'))).toMatchObject({ reason: 'closed', stage: 'mail' })
  expect(left()).toBe(1)
  await pool.close()
})

test('a connection that breaks when the server may have the message is not replaced', async () => {
  const { pool, left } = poolOf(
    [{ waitFor: 'DATA\r\n' }, `${OK + OK}354 Go on\r\n`, { waitFor: '\r\n.\r\n' }, { act: 'destroy' }],
    MESSAGE,
  )
  expect(await errorOf(pool.send(ENVELOPE, 'x'))).toMatchObject({ reason: 'closed', mayBeAccepted: true })
  expect(left()).toBe(1)
  await pool.close()
})

test('a connection that cannot be made fails its message, and the next one tries again', async () => {
  let attempts = 0
  const { connect, arrived } = house()
  const pool = createPool({
    connect: () => (++attempts < 3 ? Promise.reject(new Error(`attempt ${attempts}`)) : connect()),
    maxConnections: 1,
  })
  const sending = ['1', '2', '3'].map((text) => pool.send(ENVELOPE, text))
  const outcomes = await Promise.allSettled(sending)
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
  expect(arrived.map(({ text }) => text)).toEqual(['3\r\n'])
  await pool.close()
})

test('messages that wait have a bound, a signal and an end', async () => {
  let connected = (_client: Client): void => {}
  const { connect, arrived } = house()
  const pool = createPool({
    connect: () => new Promise((resolve) => (connected = resolve)),
    maxConnections: 1,
    maxWaiting: 2,
  })
  const first = pool.send(ENVELOPE, 'first')
  const controller = new AbortController()
  const second = errorOf(pool.send(ENVELOPE, 'second', { signal: controller.signal }))
  const third = errorOf(pool.send(ENVELOPE, 'third'))
  const fourth = await errorOf(pool.send(ENVELOPE, 'fourth'))
  expect(fourth).toMatchObject({ reason: 'aborted', stage: 'connect', isTemporary: true })
  controller.abort()
  expect(await second).toMatchObject({ reason: 'aborted', stage: 'connect' })
  const closed = pool.close()
  expect((await third).message).toBe('the pool is closed')
  connected(await connect())
  await first
  await closed
  expect(arrived.map(({ text }) => text)).toEqual(['first\r\n'])
  expect((await errorOf(pool.send(ENVELOPE, 'x'))).message).toBe('the pool is closed')
})

test('an option out of its range is refused', () => {
  const connect = (): Promise<Client> => Promise.reject(new Error('never'))
  expect(() => createPool({ connect, maxConnections: 0 })).toThrow(
    'maxConnections: 0 is not a whole number from 1 to 10000',
  )
  expect(() => createPool({ connect: undefined as never })).toThrow('connect: undefined is not a function')
})
