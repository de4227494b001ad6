/** The client leaves at every point of a session. A committed message stays, and an incomplete one is never kept. */
import { addressRanges, createServer, type Handlers, reply, type Session, type SessionOverrides } from '@postern/engine'
import { pair, type PairOptions } from '@postern/runtime/memory'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SocketClient } from '../kit/client/socket-client.ts'
import { eventually } from '../kit/waiting.ts'
import { short } from '../kit/client/reply.ts'
import { CountedDuplex } from './counted.ts'
import { Service } from './service.ts'

let service: Service
beforeAll(async () => {
  service = await Service.start({ auth: 'always', limits: { maxMessageBytes: 1_000 } })
})
afterAll(() => service.close())

const EHLO = 'EHLO client.example'
const MAIL = [EHLO, 'MAIL FROM:<a@example.org>']
const RCPT = [...MAIL, 'RCPT TO:<b@example.com>']
const DATA = [...RCPT, 'DATA']

/** The point at which the client leaves, and the incomplete bytes it has sent. */
const POINTS: readonly (readonly [where: string, lines: readonly string[], half: string])[] = [
  ['after the greeting', [], ''],
  ['in a command', [], 'EHL'],
  ['at a CR', [], 'EHLO client.example\r'],
  ['after EHLO', [EHLO], ''],
  ['in a line over the limit', [EHLO], 'x'.repeat(5_000)],
  ['after MAIL', MAIL, ''],
  ['after RCPT', RCPT, ''],
  ['before the message', DATA, ''],
  ['in a line of the message', DATA, 'half a line'],
  ['between lines', DATA, 'a line\r\n'],
  ['at the dot', DATA, 'a line\r\n.'],
  ['at the CR of the dot', DATA, 'a line\r\n.\r'],
  ['in a message that is too large', DATA, 'x'.repeat(2_000)],
  ['in a message with a bare LF', DATA, 'a\nb'],
  ['in a chunk', RCPT, 'BDAT 10\r\nhalf'],
  ['between chunks', [...RCPT, 'BDAT 0'], ''],
  ['in the last chunk', RCPT, 'BDAT 10 LAST\r\nhalf'],
  ['in a chunk that is refused', [EHLO], 'BDAT 10 LAST\r\nhalf'],
  ['in AUTH', [EHLO, 'AUTH LOGIN'], ''],
  ['in a response', [EHLO, 'AUTH LOGIN'], 'YWxp'],
]

describe.each(POINTS)('a client that leaves %s', (_, lines, half) => {
  test.each([
    ['by finishing to send', (client: SocketClient) => client.end()],
    ['by closing', (client: SocketClient) => client.close()],
    ['by a reset', (client: SocketClient) => client.reset()],
  ])('leaves no session and no message %s', async (_, leave) => {
    const client = await service.at(lines)
    const record = service.record(client)
    await client.sendPieces([half])
    leave(client)
    await service.gone(client)
    expect(record.events.filter((event) => event === 'close')).toHaveLength(1)
    expect(record.kept).toEqual([])
    expect(record.errors).toEqual([])
    if (record.events.includes('data'))
      expect(record.events.at(-2)).toMatch(/^lost (aborted|too-large|bare-line-ending)$/)
    client.close()
  })
})

test('a client that finishes sending still gets every reply', async () => {
  const client = await service.connect()
  client.send(`${EHLO}\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nhi\r\n.\r\nNOOP\r\nHALF`)
  client.end()
  const codes = (await client.repliesToEnd()).map(short)
  expect(codes).toEqual(['220', '250', '250 2.1.0', '250 2.1.5', '354', '250 2.0.0', '250 2.0.0'])
  expect((await service.gone(client)).kept.map(({ text }) => text)).toEqual(['hi\r\n'])
})

test('a committed message stays if the client leaves before the final reply', async () => {
  let go: (() => void) | undefined
  let isKept = false
  let isClosed = false
  const going = new Promise<void>((resolve) => {
    go = resolve
  })
  const slow = await Service.start(
    {},
    {
      handlers: {
        async data(message) {
          await message.bytes()
          await going
          isKept = true
        },
        close() {
          isClosed = true
        },
      },
    },
  )
  try {
    const client = await slow.at(DATA)
    client.send('hi\r\n.\r\n')
    expect(await client.isQuiet(50)).toBe(true)
    client.reset()
    await new Promise((resolve) => setTimeout(resolve, 50))
    go?.()
    await eventually(() => isClosed, 'the session is over')
    expect(isKept).toBe(true)
  } finally {
    await slow.close()
  }
})

test.each([
  ['by a reset', (client: SocketClient) => client.reset()],
  ['by its silence', (client: SocketClient) => client.repliesToEnd().then(() => client.end())],
])('if the client leaves %s in a message, a hook that never answers still has its time limit', async (_, leave) => {
  const errors: unknown[] = []
  const stuck = await Service.start(
    { limits: { dataTimeoutMs: 100, idleTimeoutMs: 60_000, hookTimeoutMs: 300 } },
    {
      handlers: {
        async data(message) {
          await message.bytes().catch(() => {})
          await new Promise(() => {})
        },
        error: (error) => void errors.push(error),
      },
    },
  )
  try {
    const client = await stuck.at(DATA)
    client.send('hi\r\n')
    await leave(client)
    await eventually(() => stuck.server.sessionCount === 0, 'the session is over')
    expect(errors.map(String)).toEqual(['HookTimeoutError: timed out: a hook has not answered'])
  } finally {
    await stuck.close()
  }
})

test('a session ends if the client leaves while a hook runs for a command', async () => {
  let isClosed = false
  const events: string[] = []
  const slow = await Service.start(
    {},
    {
      handlers: {
        mail: () => new Promise((resolve) => setTimeout(resolve, 100)),
        rcpt() {
          events.push('rcpt')
        },
        close() {
          isClosed = true
        },
      },
    },
  )
  try {
    const client = await slow.at([EHLO])
    client.send('MAIL FROM:<a@example.org>\r\n')
    expect(await client.isQuiet(20)).toBe(true)
    client.reset()
    await eventually(() => isClosed, 'the session is over')
    expect(events).toEqual([])
  } finally {
    await slow.close()
  }
})

test('the signal of the session is aborted when it ends', async () => {
  const client = await service.at([EHLO])
  const { signal } = service.record(client).session as NonNullable<ReturnType<Service['record']>['session']>
  expect(signal.aborted).toBe(false)
  client.reset()
  await service.gone(client)
  expect(signal.aborted).toBe(true)
})

/** Counts the listeners for its close. */
class ListenedDuplex extends CountedDuplex {
  listeners = 0

  override whenClosed(listener: () => void): void {
    this.listeners++
    super.whenClosed(listener)
  }
}

describe('a hook that waits for the signal of the session', () => {
  /** A hook that answers when the signal is aborted. */
  function untilAborted(told: string[]): (_: unknown, session: Session) => Promise<undefined> {
    return async (_, { signal }) => {
      told.push('asked')
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      told.push('aborted')
    }
  }

  test.each<[keyof Handlers, readonly string[], string]>([
    ['rcpt', MAIL, 'RCPT TO:<b@example.com>\r\n'],
    ['data', DATA, 'half a message'],
  ])('learns in %s that the client has reset the connection', async (name, lines, half) => {
    const told: string[] = []
    const waiting = await Service.start({}, { handlers: { [name]: untilAborted(told) } })
    try {
      const client = await waiting.at(lines)
      client.send(half)
      await eventually(() => told.includes('asked'), 'the hook is asked')
      client.reset()
      await eventually(() => told.includes('aborted'), 'the signal is aborted')
      await eventually(() => waiting.server.sessionCount === 0, 'the session is over')
    } finally {
      await waiting.close()
    }
  })

  test('waits on if the client has only finished sending, and the client gets the reply', async () => {
    const { promise: going, resolve: go } = Promise.withResolvers<void>()
    const seen: boolean[] = []
    const rcpt = async (_: unknown, { signal }: Session): Promise<undefined> => {
      seen.push(signal.aborted)
      await going
      seen.push(signal.aborted)
    }
    const waiting = await Service.start({}, { handlers: { rcpt } })
    try {
      const client = await waiting.at(MAIL)
      client.send('RCPT TO:<b@example.com>\r\n')
      client.end()
      expect(await client.isQuiet(50)).toBe(true)
      go()
      expect((await client.repliesToEnd()).map(short)).toEqual(['250 2.1.5'])
      expect(seen).toEqual([false, false])
    } finally {
      await waiting.close()
    }
  })

  test.each<[string, string, SessionOverrides]>([
    ['itself', '', {}],
    [
      'behind a proxy',
      'PROXY TCP4 192.0.2.1 192.0.2.2 1000 25\r\n',
      { proxyProtocol: { trusted: addressRanges(['192.0.2.9']) } },
    ],
  ])('learns it from the connection of the client %s', async (_, header, overrides) => {
    const told: string[] = []
    const server = createServer({ hostname: 'mx.example.com', verify: untilAborted(told) })
    const ends: PairOptions['endpoints'] = [
      { family: 'ipv4', address: '192.0.2.9', port: 1 },
      { family: 'ipv4', address: '192.0.2.10', port: 25 },
    ]
    const [client, served] = pair({ endpoints: ends })
    const over = server.accept(served, overrides)
    await client.write(Buffer.from(`${header}VRFY x\r\n`))
    await eventually(() => told.includes('asked'), 'the hook is asked')
    client.destroy()
    await over
    expect(told).toEqual(['asked', 'aborted'])
  })

  test('registers one listener, and a session whose hooks do not ask for the signal none', async () => {
    for (const [asks, expected] of [
      [true, 1],
      [false, 0],
    ] as const) {
      const server = createServer({
        hostname: 'mx.example.com',
        verify: (_, session) => (asks && session.signal.aborted ? reply(451, '4.3.0', 'Aborted') : undefined),
      })
      const [client, served] = pair()
      const counted = new ListenedDuplex(served, { reads: 0, writes: 0 })
      const over = server.accept(counted)
      await client.write(Buffer.from('VRFY x\r\nVRFY y\r\nQUIT\r\n'))
      await client.end()
      await over
      expect(counted.listeners).toBe(expected)
    }
  })
})
