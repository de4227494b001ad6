/**
 * Tests the attackers and the clients beside them: they send what they should, within their bounds. No test measures
 * speed.
 */
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import { createServer, reply } from '@postern/engine'
import { listen, selfSigned } from '@postern/runtime/node'
import { afterAll, afterEach, expect, test } from 'vitest'
import { pause } from '../bench.ts'
import { Program } from '../programs.ts'
import { ROOT, scriptCommand } from '../servers.ts'
import { type AttackCase, USER } from './case.ts'
import { CASES } from './cases.ts'
import { type AttackOrder, type AttackOutcome, type ClientOrder, LEAD_MS, type Visits } from './order.ts'
import { runCase } from './run.ts'

const TIMEOUT_MS = 20_000
const SETTLE_MS = 200
const MAX_OCTETS = 100_000
/** The octets that one write may go over the bound. */
const MAX_WRITE_OCTETS = 128 * 1024
const MAX_PATH_OCTETS = 100

const attacker = new Program(scriptCommand('node', 'attacks/attacker.ts'), { core: undefined })
const clients = new Program(scriptCommand('node', 'attacks/clients.ts'), { core: undefined })
afterAll(() => Promise.all([attacker.end(), clients.end()]))

let guesses: string[] = []
let forwardPaths: string[] = []
/** Recipients of each message. */
let messages: number[] = []
/** Accepted connections, and their addresses. */
let connects = 0
const addresses = new Set<string>()
const server = createServer({
  hostname: 'mx.example.com',
  auth: {
    mechanisms: ['PLAIN'],
    allowWithoutTls: true,
    authenticate(credentials) {
      if (credentials.mechanism !== 'PLAIN') return undefined
      if (credentials.password === USER.password) return { user: credentials.username }
      guesses.push(credentials.username)
      return undefined
    },
  },
  connect({ remote }) {
    connects++
    addresses.add(remote.family === 'ipv4' ? remote.address : remote.family)
  },
  rcpt(to) {
    if (to.address.length > MAX_PATH_OCTETS) return reply(501, '5.1.3', 'Too long')
    forwardPaths.push(to.address)
    return undefined
  },
  async data(message) {
    await message.bytes()
    messages.push(message.envelope.forwardPaths.length)
  },
})
const listener = await listen(server, { port: 0, host: '127.0.0.1' })
const secureListener = await listen(server, { port: 0, host: '127.0.0.1', tls: await selfSigned(), implicitTls: true })
const { port } = listener.address
afterAll(async () => {
  await listener.close()
  await secureListener.close()
  await server.close({ graceMs: 0 })
})
afterEach(() => {
  guesses = []
  forwardPaths = []
  messages = []
  connects = 0
  addresses.clear()
})

const BASE = { port, addresses: ['127.0.1.1', '127.0.1.2'], seconds: 60, maxOctets: MAX_OCTETS }

/** Runs the attacker until a condition holds, and then a little longer, so that the test would see too much traffic. */
async function attack(order: AttackOrder, isDone: () => boolean): Promise<AttackOutcome> {
  attacker.write(order)
  await expect.poll(isDone, { timeout: TIMEOUT_MS }).toBe(true)
  await pause(SETTLE_MS)
  attacker.write({})
  return attacker.line(TIMEOUT_MS)
}

/** Makes a server that sends a greeting and records the input. */
async function recorder(): Promise<AsyncDisposable & { readonly port: number; readonly heard: string[] }> {
  const heard: string[] = []
  const sockets = new Set<Socket>()
  const recorder = createTcpServer((socket) => {
    sockets.add(socket)
    const index = heard.push('') - 1
    socket.setEncoding('latin1').on('data', (text: string) => {
      heard[index] += text
    })
    socket.on('error', () => {})
    socket.write('220 mx.example.com\r\n')
  })
  await new Promise<void>((resolve) => recorder.listen(0, '127.0.0.1', resolve))
  return {
    port: (recorder.address() as AddressInfo).port,
    heard,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => recorder.close(resolve))
    },
  }
}

test('a flood sends only its opening and its commands, within its bound of octets', async () => {
  await using target = await recorder()
  const flood = { kind: 'flood', connections: 3, opening: 'EHLO a\r\n', commands: 'NOOP\r\n' } as const
  const isSpent = (): boolean => target.heard.join('').length > MAX_OCTETS && target.heard.length === 3
  const outcome = await attack({ ...BASE, ...flood, port: target.port }, isSpent)
  expect(outcome).toMatchObject({ opened: 3, failed: 0, closed: 0, replies: { 220: 3 } })
  for (const text of target.heard) expect(text).toMatch(/^EHLO a\r\n(?:NOOP\r\n)*$/)
  expect(target.heard.join('')).toHaveLength(outcome.octets)
  expect(outcome.octets).toBeLessThan(MAX_OCTETS + 3 * MAX_WRITE_OCTETS)
})

test('an attack ends without an order when its time is over', async () => {
  attacker.write({ ...BASE, kind: 'idle', connections: 1, seconds: 0.2 } satisfies AttackOrder)
  expect((await attacker.line<AttackOutcome>(TIMEOUT_MS)).seconds).toBeGreaterThan(0.19)
  await expect.poll(() => server.sessionCount).toBe(0)
})

test('a flood opens connections again that the server closes, from its addresses in turn', async () => {
  const flood = { kind: 'flood', connections: 2, opening: '', commands: 'QUIT\r\n' } as const
  const outcome = await attack({ ...BASE, ...flood, maxOctets: MAX_OCTETS * 1_000 }, () => connects > 5)
  expect(outcome.opened).toBeGreaterThan(5)
  expect(outcome.closed).toBeGreaterThan(2)
  expect([...addresses].toSorted()).toEqual(BASE.addresses)
})

test('guessers guess passwords of all their accounts, and connect again when they are disconnected', async () => {
  const order = { kind: 'guess', connections: 4, usernames: ['ann', 'nobody'] } as const
  const outcome = await attack({ ...BASE, ...order }, () => connects > 4 && guesses.length > 10)
  expect(outcome.opened).toBeGreaterThan(4)
  expect(outcome.replies[535]).toBeGreaterThan(10)
  expect(new Set(guesses)).toEqual(new Set(['ann', 'nobody']))
})

test('recipients have the greatest accepted length, and each connection sends as many as were ordered', async () => {
  const lines = [200, 50, 10].map((length) => `RCPT TO:<${'x'.repeat(length)}@d.example>`)
  const order = { kind: 'recipients', connections: 3, senders: 2, recipientsPerConnection: 100, lines } as const
  const outcome = await attack({ ...BASE, ...order }, () => forwardPaths.length >= 301)
  expect(outcome).toMatchObject({ opened: 4, replies: { 220: 4, 501: 1 } })
  expect(forwardPaths).toHaveLength(301)
  expect(new Set(forwardPaths)).toEqual(new Set([`${'x'.repeat(50)}@d.example`]))
  expect(messages).toEqual([])
})

test('recipients end at the bound of octets', async () => {
  const order = { kind: 'recipients', connections: 500, senders: 1, recipientsPerConnection: 1_000 } as const
  const lines = ['RCPT TO:<x@d.example>']
  const isSpent = (): boolean => forwardPaths.length * 23 > 10_000
  const outcome = await attack({ ...BASE, ...order, lines, maxOctets: 10_000 }, isSpent)
  expect(outcome.octets).toBeLessThan(12_000)
  expect(outcome.opened).toBe(2)
})

test('messages have all their recipients, and are as many as were ordered', async () => {
  const order = {
    kind: 'messages',
    connections: 2,
    messages: 5,
    mail: 'MAIL FROM:<a@b.example>',
    recipients: 30,
  } as const
  const lines = ['RCPT TO:<x@d{n}.example>']
  const outcome = await attack({ ...BASE, ...order, lines }, () => messages.length >= 5)
  expect(outcome.replies[354]).toBe(5)
  expect(messages).toEqual([30, 30, 30, 30, 30])
  expect(new Set(forwardPaths).size).toBe(30)
})

test('silent connections write nothing and are as many as were ordered', async () => {
  await using target = await recorder()
  const order = { kind: 'silent', connections: 40, connectionsPerSecond: 1_000 } as const
  const outcome = await attack({ ...BASE, ...order, port: target.port }, () => target.heard.length >= 40)
  expect(outcome).toMatchObject({ opened: 40, closed: 0, octets: 0 })
  expect(target.heard.join('')).toBe('')
})

test('idle connections stay until they are told to end', async () => {
  const outcome = await attack({ ...BASE, kind: 'idle', connections: 25 }, () => server.sessionCount >= 25)
  expect(outcome).toMatchObject({ opened: 25, closed: 0, replies: { 220: 25, 250: 25 } })
  await expect.poll(() => server.sessionCount).toBe(0)
})

const CLIENT = { port, address: '127.0.0.2', intervalMs: 50, maxVisits: 5 }
const SECURE = { port: secureListener.address.port, isSecure: true, delayMs: 20 }

test.each<[string, Omit<ClientOrder, 'name'>]>([
  ['mail over one connection', { ...CLIENT, kind: 'mail', maxVisits: 1 }],
  ['mail over new connections', { ...CLIENT, kind: 'mail' }],
  ['mail over TLS', { ...CLIENT, kind: 'mail', ...SECURE }],
  ['login', { ...CLIENT, kind: 'login', login: USER }],
  ['greeting', { ...CLIENT, kind: 'greeting', ...SECURE }],
  ['request', { ...CLIENT, kind: 'request' }],
  ['slow', { ...CLIENT, kind: 'slow', maxVisits: 1 }],
])('%s: an honest client is served, from its own address', async (name, order) => {
  const visits = await visit({ ...order, name })
  expect(visits).toMatchObject({ name, failures: {} })
  expect(visits.served).toBe(visits.begun)
  expect(visits.served).toBeGreaterThan(0)
  expect(visits.maxMs).toBeGreaterThan(0)
  expect([...addresses]).toEqual(['127.0.0.2'])
  if (order.kind === 'mail' || order.kind === 'slow') expect(messages).toHaveLength(visits.served)
})

test('a client that is refused counts as refused, and has no time', async () => {
  const login = { username: USER.username, password: 'wrong' }
  const visits = await visit({ ...CLIENT, kind: 'login', name: 'wrong', login })
  expect(visits).toMatchObject({ served: 0, failures: { 535: visits.begun }, maxMs: null })
})

async function visit(client: ClientOrder): Promise<Visits> {
  clients.write({ kind: 'clients', clients: [client] })
  clients.write({ kind: 'begin' })
  await pause(LEAD_MS + 300)
  clients.write({ kind: 'end' })
  const { visits } = await clients.line<{ visits: readonly [Visits] }>(TIMEOUT_MS)
  return visits[0]
}

test('a case starts the program, and reports the results of the program, its clients and its attacker', async () => {
  const places = CASES.find(({ name }) => name === 'directories') as AttackCase
  const result = await runCase(places, { runtime: 'node', checkout: ROOT, seconds: 1 })
  expect(result).toMatchObject({ ending: undefined, alone: [{ name: 'neighbour' }], attacked: [{ name: 'neighbour' }] })
  expect(result.alone[0]?.served).toBeGreaterThan(0)
  expect(result.tally.replies[220]).toBeGreaterThan(0)
  expect(result.residentBytes.peak).toBeGreaterThanOrEqual(result.residentBytes.before)
  expect(result.directories).toBeGreaterThanOrEqual(5)
})

test('every case has a bounded number of connections, and uses loopback addresses', () => {
  expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length)
  for (const { attack, clients, doors = ['smtp'] } of CASES) {
    expect(attack.connections).toBeLessThanOrEqual(5_000)
    for (const address of [...attack.addresses, ...clients.map((client) => client.address)])
      expect(address).toMatch(/^127\./)
    for (const { door = 0 } of clients) expect(doors[door]).toBeDefined()
  }
})
