/** No reply waits for the hook of another command: RFC 2920 3.2. While a hook is held, earlier commands must still get replies. */
import { createServer, type Handlers, reply, type ServerOptions } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { afterAll, expect, test } from 'vitest'
import { short } from '../kit/client/reply.ts'
import { Service } from './service.ts'

const services: Service[] = []
afterAll(() => Promise.all(services.map((service) => service.close())))

const EHLO = 'EHLO client.example'
const MAIL = 'MAIL FROM:<a@example.org>'
const RCPT = 'RCPT TO:<b@example.com>'
const TEXT = 'Subject: x\r\n\r\nhi\r\n.\r\n'
const NEXT = `${MAIL}\r\n${RCPT}\r\n`

/** The hook that is held when it is called for the `nth` time. */
interface Held {
  readonly hook: 'hello' | 'mail' | 'rcpt' | 'data' | 'verify' | 'reset' | 'authenticate'
  readonly nth?: number
}

interface Case {
  readonly name: string
  readonly held: Held
  /** Lines that the client sends first, and that get replies. */
  readonly before: readonly string[]
  /** The bytes that the client sends in one packet. */
  readonly send: string
  /** Replies that come while the hook is held. */
  readonly come: readonly string[]
  /** Replies that come once it has answered. */
  readonly after: readonly string[]
}

const OPEN = [EHLO, MAIL, RCPT]

const CASES: readonly Case[] = [
  {
    name: 'the end of data, then RCPT',
    held: { hook: 'rcpt', nth: 2 },
    before: [...OPEN, 'DATA'],
    send: `${TEXT}${NEXT}`,
    come: ['250 2.0.0', '250 2.1.0'],
    after: ['250 2.1.5'],
  },
  {
    name: 'BDAT LAST, then MAIL',
    held: { hook: 'mail', nth: 2 },
    before: OPEN,
    send: `BDAT 2 LAST\r\nhi${NEXT}`,
    come: ['250 2.0.0'],
    after: ['250 2.1.0', '250 2.1.5'],
  },
  {
    name: 'a chunk, then the store that keeps the message',
    held: { hook: 'data' },
    before: OPEN,
    send: 'BDAT 2\r\nhiBDAT 2 LAST\r\nho',
    come: ['250 2.0.0'],
    after: ['250 2.0.0'],
  },
  {
    name: 'MAIL and RCPT, then the store that keeps the message',
    held: { hook: 'data' },
    before: [EHLO],
    send: `${NEXT}BDAT 2 LAST\r\nhi`,
    come: ['250 2.1.0', '250 2.1.5'],
    after: ['250 2.0.0'],
  },
  {
    name: 'a message, then the store that keeps the next one',
    held: { hook: 'data', nth: 2 },
    before: OPEN,
    send: `BDAT 2 LAST\r\nhi${NEXT}BDAT 2 LAST\r\nho`,
    come: ['250 2.0.0', '250 2.1.0', '250 2.1.5'],
    after: ['250 2.0.0'],
  },
  {
    name: 'NOOP, then VRFY',
    held: { hook: 'verify' },
    before: [EHLO],
    send: 'NOOP\r\nVRFY x\r\nNOOP\r\n',
    come: ['250 2.0.0'],
    after: ['252 2.5.0', '250 2.0.0'],
  },
  {
    name: 'EHLO, then MAIL',
    held: { hook: 'mail' },
    before: [],
    send: `${EHLO}\r\n${NEXT}`,
    come: ['250'],
    after: ['250 2.1.0', '250 2.1.5'],
  },
  {
    name: 'NOOP, then EHLO',
    held: { hook: 'hello' },
    before: [],
    send: `NOOP\r\n${EHLO}\r\n`,
    come: ['250 2.0.0'],
    after: ['250'],
  },
  {
    name: 'a refused command, then RSET',
    held: { hook: 'reset' },
    before: OPEN,
    send: 'WHAT\r\nRSET\r\n',
    come: ['500 5.5.1'],
    after: ['250 2.0.0'],
  },
  {
    name: 'RCPTs, then the third of them',
    held: { hook: 'rcpt', nth: 3 },
    before: [EHLO, MAIL],
    send: `${RCPT}\r\n`.repeat(4),
    come: ['250 2.1.5', '250 2.1.5'],
    after: ['250 2.1.5', '250 2.1.5'],
  },
  {
    name: 'a command between two chunks, then another',
    held: { hook: 'verify' },
    before: OPEN,
    send: 'BDAT 2\r\nhiNOOP\r\nVRFY x\r\nBDAT 0 LAST\r\n',
    come: ['250 2.0.0', '250 2.0.0'],
    after: ['252 2.5.0', '250 2.0.0'],
  },
  {
    name: 'NOOP, then AUTH',
    held: { hook: 'authenticate' },
    before: [EHLO],
    send: `NOOP\r\nAUTH PLAIN ${Buffer.from('\0alice\0secret').toString('base64')}\r\n`,
    come: ['250 2.0.0'],
    after: ['235 2.7.0'],
  },
]

test.each(CASES)('no reply waits for a later hook: $name', async ({ held, before, send, come, after }) => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  let asked = 0
  /** Waits if this is the call that is held. */
  const hold = async <T>(hook: Held['hook'], answer: T): Promise<T> => {
    if (hook === held.hook && ++asked === (held.nth ?? 1)) await released
    return answer
  }
  const handlers: Handlers = {
    hello: () => hold('hello', undefined),
    mail: () => hold('mail', undefined),
    rcpt: () => hold('rcpt', undefined),
    async data(message) {
      await message.bytes()
      return hold('data', reply(250, '2.0.0', 'kept'))
    },
    verify: () => hold('verify', undefined),
    reset: () => hold('reset', undefined),
  }
  const options: Partial<ServerOptions> = {
    auth: { allowWithoutTls: true, authenticate: () => hold('authenticate', { user: 'alice' }) },
  }
  const service = await Service.start({}, { handlers, options })
  services.push(service)
  const client = await service.at(before)
  client.send(send)
  expect((await client.replies(come.length)).map(short)).toEqual(come)
  expect(asked).toBe(held.nth ?? 1)
  expect(client.unread).toBe('')
  release()
  expect((await client.replies(after.length)).map(short)).toEqual(after)
})

test('replies that are ready at the same time leave in one write', async () => {
  const service = await Service.start({}, { handlers: { rcpt: () => undefined } })
  services.push(service)
  const client = await service.at([EHLO])
  const record = service.record(client)
  const { writes } = record
  client.send(`${MAIL}\r\n${`${RCPT}\r\n`.repeat(100)}NOOP\r\n`)
  expect(await client.replies(102)).toHaveLength(102)
  expect(record.writes - writes).toBe(1)
})

test('a client that reads no replies while a hook runs is closed in time', async () => {
  const refused: string[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    limits: { idleTimeoutMs: 200 },
    verify: (_, session) =>
      new Promise((resolve) => session.signal.addEventListener('abort', () => resolve(undefined))),
    refused: ({ reply }) => void refused.push(`${reply.code} ${reply.enhancedCode}`),
  })
  const [client, served] = pair({ highWaterMark: 16 })
  // The client does not read the replies to NOOP, so the reply of the hook cannot leave either.
  void client.write(Buffer.from('NOOP\r\nNOOP\r\nVRFY x\r\n'))
  const over = server.accept(served)
  await client.read()
  await over
  expect(refused).toEqual(['421 4.4.2'])
})
