/** Tests the load generator, because its figures are worth nothing if it does not do what it should. */
import { createServer, reply } from '@postern/engine'
import { listen, selfSigned } from '@postern/runtime/node'
import { afterAll, afterEach, expect, test } from 'vitest'
import { messageText } from './load/message.ts'
import type { Mode, Order, Outcome, Talk } from './load/order.ts'
import { Program } from './programs.ts'
import { findByHand, Machine } from './servers/barest.ts'
import { scriptCommand } from './servers.ts'

const TIMEOUT_MS = 20_000
const load = new Program(scriptCommand('bun', 'load/main.ts'), { core: undefined })
afterAll(() => load.end())

let texts: string[] = []
let recipients = 0
let isRefusing = false
const sessions = new Set<string>()
const server = createServer({
  hostname: 'mx.example.com',
  limits: { maxConnectionsPerAddress: 1_000 },
  auth: { authenticate: ({ mechanism }) => (mechanism === 'PLAIN' ? { user: 'someone' } : undefined) },
  async data(message, session) {
    texts.push(Buffer.from(await message.bytes()).toString('latin1'))
    recipients += message.envelope.forwardPaths.length
    sessions.add(`${session.id} ${session.tls === undefined ? 'clear' : 'TLS'} ${session.user ?? 'nobody'}`)
    return isRefusing ? reply(451, '4.3.0', 'Not now') : undefined
  },
})
const listener = await listen(server, { port: 0, host: '127.0.0.1', tls: await selfSigned() })
const { port } = listener.address
afterAll(async () => {
  await listener.close()
  await server.close({ graceMs: 0 })
})
afterEach(() => {
  texts = []
  recipients = 0
  sessions.clear()
  isRefusing = false
})

const talk = (mode: Mode): Talk => ({ mode, messageBytes: 3_000, recipients: 3, moreFields: 5, secure: false })
const TEXT = messageText(3_000, 5)

function perform(order: Order): Promise<Outcome> {
  load.write(order)
  return load.line(TIMEOUT_MS)
}

test.each(['lockstep', 'pipelined', 'bdat'] as const)('%s: every message is there, byte for byte', async (mode) => {
  const outcome = await perform({
    kind: 'send',
    port,
    talk: talk(mode),
    sessions: 4,
    messages: 30,
    messagesPerConnection: 0,
  })
  expect(outcome).toMatchObject({ messages: 30 })
  expect(texts).toEqual(Array.from({ length: 30 }, () => TEXT))
  expect(TEXT.length).toBe(3_000)
  expect(recipients).toBe(90)
  expect(sessions.size).toBe(4)
})

test('each message has its own connection, by STARTTLS and AUTH', async () => {
  const order = { sessions: 4, messages: 10, messagesPerConnection: 1 }
  const outcome = await perform({ kind: 'send', port, talk: { ...talk('lockstep'), secure: true }, ...order })
  expect(outcome).toMatchObject({ messages: 10 })
  expect(texts).toEqual(Array.from({ length: 10 }, () => TEXT))
  expect(sessions.size).toBe(10)
  for (const session of sessions) expect(session).toMatch(/ TLS someone$/)
})

test('a message is sent whole if it is larger than a socket takes at once', async () => {
  const messageBytes = 3_000_000
  const large = { ...talk('lockstep'), messageBytes }
  const outcome = await perform({ kind: 'send', port, talk: large, sessions: 2, messages: 4, messagesPerConnection: 0 })
  expect(outcome).toMatchObject({ messages: 4 })
  const text = messageText(messageBytes, 5)
  expect(texts.map((got) => got === text)).toEqual([true, true, true, true])
})

test('messages with a due time are all sent and timed', async () => {
  const order = { sessions: 3, messages: 50, messagesPerSecond: 1_000 }
  const outcome = await perform({ kind: 'pace', port, talk: talk('lockstep'), ...order })
  expect(outcome).toMatchObject({ messages: 50 })
  expect(texts).toHaveLength(50)
  expect(outcome.p50Ms).toBeGreaterThan(0)
  expect(outcome.p99Ms).toBeGreaterThanOrEqual(outcome.p50Ms ?? 0)
})

test('held connections all stay open until they are released', async () => {
  const before = server.sessionCount
  expect(await perform({ kind: 'hold', port, connections: 250 })).not.toHaveProperty('error')
  expect(server.sessionCount).toBeGreaterThanOrEqual(250)
  expect(await perform({ kind: 'release' })).not.toHaveProperty('error')
  await expect.poll(() => server.sessionCount).toBeLessThanOrEqual(before)
})

test('a wrong reply gives an error and no figure', async () => {
  isRefusing = true
  const outcome = await perform({
    kind: 'send',
    port,
    talk: talk('pipelined'),
    sessions: 1,
    messages: 5,
    messagesPerConnection: 0,
  })
  expect(outcome.error).toMatch(/^'451 4\.3\.0 Not now' in place of 250/)
})

test('the barest machine finds every end, however its input is cut', () => {
  const input = Buffer.from(
    'EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx: y\r\n\r\n..\r\n.x\r\n\r\n.\r\n' +
      'MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 7 LAST\r\n\r\n.\r\nabQUIT\r\n',
  )
  const said = (pieces: readonly Uint8Array[]): string => {
    const machine = new Machine(findByHand)
    return pieces.map((piece) => Buffer.from(machine.take(piece).bytes ?? '').toString()).join('')
  }
  const whole = said([input])
  expect(whole.match(/^\d{3} /gm)).toEqual(['250 ', '250 ', '250 ', '354 ', '250 ', '250 ', '250 ', '250 ', '221 '])
  expect(said(Array.from(input, (octet) => Uint8Array.of(octet)))).toBe(whole)
  for (let cut = 1; cut < input.length; cut++) expect(said([input.subarray(0, cut), input.subarray(cut)])).toBe(whole)
})
