/** The `refused` hook gets every refusal once, with its verb and reply, and never with an argument. */
import {
  ArrivalError,
  createServer,
  type Handlers,
  type RefusedCommand,
  reply,
  type ServerOptions,
} from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { afterAll, expect, test } from 'vitest'
import { DuplexClient } from '../kit/client/duplex-client.ts'
import type { SocketClient } from '../kit/client/socket-client.ts'
import { eventually } from '../kit/waiting.ts'
import type { Profile } from './recorder.ts'
import { Service } from './service.ts'

const services: Service[] = []
afterAll(() => Promise.all(services.map((service) => service.close())))

const EHLO = 'EHLO client.example'
const MAIL = 'MAIL FROM:<a@example.org>'
const RCPT = 'RCPT TO:<b@example.com>'
const PLAIN = Buffer.from('\0alice\0wrong').toString('base64')
const auth = { auth: 'always' } as const

interface Case {
  readonly name: string
  readonly profile?: Profile
  readonly options?: Partial<ServerOptions>
  readonly handlers?: Handlers
  /** The bytes that the client sends in one packet before it ends. */
  readonly send: string
  /** Verb, code and enhanced code of each refusal. Those of a hook are marked. */
  readonly told: readonly string[]
}

const no = reply(550, '5.7.1', 'No')

const CASES: readonly Case[] = [
  { name: 'nothing', send: `${EHLO}\r\n${MAIL}\r\n${RCPT}\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n`, told: [] },
  { name: 'an unknown command', send: 'AUTHH secret\r\n', told: [' 500 5.5.1'] },
  { name: 'a bare LF', send: `RSET\n${MAIL}\r\n`, told: [' 500 5.5.2'] },
  { name: 'a line that is too long', send: `NOOP ${'x'.repeat(5_000)}\r\n`, told: [' 500 5.5.2'] },
  { name: 'a line too long for its verb', send: `NOOP ${'x'.repeat(600)}\r\n`, told: ['NOOP 500 5.5.2'] },
  { name: 'HTTP', send: 'GET / HTTP/1.1\r\n\r\n', told: [' 421 4.7.0'] },
  { name: 'a ClientHello in clear', send: '\x16\x03\x01', told: [' 421 4.7.0'] },
  { name: 'a malformed path', send: `${EHLO}\r\nMAIL FROM:<a..b@c>\r\n`, told: ['MAIL 501 5.1.7'] },
  { name: 'a hello name', send: 'EHLO my device\r\n', told: ['EHLO 501 5.5.2'] },
  { name: 'SIZE', send: `${EHLO}\r\n${MAIL} SIZE=99999999999\r\n`, told: ['MAIL 552 5.3.4'] },
  { name: 'out of order', send: `${EHLO}\r\n${RCPT}\r\nDATA\r\n`, told: ['RCPT 503 5.5.1', 'DATA 503 5.5.1'] },
  {
    name: 'too many recipients',
    profile: { limits: { maxRecipients: 1 } },
    send: `${EHLO}\r\n${MAIL}\r\n${RCPT}\r\n${RCPT}\r\n`,
    told: ['RCPT 452 4.5.3'],
  },
  {
    name: 'too many errors',
    profile: { limits: { maxBadCommands: 2 } },
    send: 'X\r\nRCPT\r\n',
    told: [' 500 5.5.1', 'RCPT 421 4.7.0'],
  },
  {
    name: 'too many commands that make no progress',
    profile: { limits: { maxIdleCommands: 1 } },
    send: 'NOOP\r\nNOOP\r\n',
    told: ['NOOP 421 4.7.0'],
  },
  { name: 'TLS missing', profile: { tlsRequired: true }, send: `${EHLO}\r\n${MAIL}\r\n`, told: ['MAIL 530 5.7.0'] },
  {
    name: 'AUTH missing',
    profile: { ...auth, authRequired: true },
    send: `${EHLO}\r\n${MAIL}\r\n`,
    told: ['MAIL 530 5.7.0'],
  },
  {
    name: 'a wrong password',
    profile: auth,
    send: `${EHLO}\r\nAUTH PLAIN ${PLAIN}\r\n`,
    told: ['AUTH 535 5.7.8 (hook)'],
  },
  {
    name: 'too many wrong passwords',
    profile: { ...auth, limits: { maxFailedAuths: 1 } },
    send: `${EHLO}\r\nAUTH PLAIN\r\n${PLAIN}\r\n`,
    told: ['AUTH 421 4.7.0 (hook)'],
  },
  { name: 'a malformed response', profile: auth, send: `${EHLO}\r\nAUTH PLAIN\r\n!\r\n`, told: ['AUTH 501 5.5.2'] },
  { name: 'a hook of EHLO', send: 'EHLO banned.example\r\n', told: ['EHLO 550 5.7.1 (hook)'] },
  { name: 'a hook of MAIL', send: `${EHLO}\r\nMAIL FROM:<banned@example.org>\r\n`, told: ['MAIL 550 5.7.1 (hook)'] },
  {
    name: 'a hook of RCPT',
    send: `${EHLO}\r\n${MAIL}\r\nRCPT TO:<unknown@x.example>\r\n`,
    told: ['RCPT 550 5.1.1 (hook)'],
  },
  { name: 'EXPN, which is off', send: 'EXPN list-of-nobody\r\n', told: ['EXPN 502 5.5.1'] },
  {
    name: 'a bare LF in a message',
    send: `${EHLO}\r\n${MAIL}\r\n${RCPT}\r\nDATA\r\na\nb\r\n.\r\n`,
    told: ['DATA 550 5.6.0'],
  },
  {
    name: 'a message that is too large',
    profile: { limits: { maxMessageBytes: 2 } },
    send: `${EHLO}\r\n${MAIL}\r\n${RCPT}\r\nBDAT 3 LAST\r\nabc`,
    told: ['BDAT 552 5.3.4'],
  },
  {
    name: 'a message far too large',
    profile: { limits: { maxMessageBytes: 2, maxDrainBytes: 0 } },
    send: `${EHLO}\r\n${MAIL}\r\n${RCPT}\r\nDATA\r\n${'x\r\n..x\r\n'.repeat(9)}`,
    told: ['DATA 421 4.7.0'],
  },
  {
    name: 'a store that is full',
    send: `${EHLO}\r\nMAIL FROM:<full@example.org>\r\n${RCPT}\r\nDATA\r\nx\r\n.\r\n`,
    told: ['DATA 452 4.3.1 (hook)'],
  },
  { name: 'the connect hook', handlers: { connect: () => no }, send: '', told: [' 550 5.7.1 (hook)'] },
  { name: 'talk before the greeting', options: { greetingDelayMs: 5_000 }, send: EHLO, told: [' 554 5.5.0'] },
]

function seen({ verb, reply, byHook }: RefusedCommand): string {
  return `${verb} ${reply.code} ${reply.enhancedCode}${byHook ? ' (hook)' : ''}`
}

test.each(CASES)(
  'the refused hook is told of $name',
  async ({ profile = {}, options = {}, handlers = {}, send, told }) => {
    const refused: string[] = []
    const remotes = new Set<string>()
    const service = await Service.start(profile, {
      handlers,
      options: {
        ...options,
        refused(event, session) {
          refused.push(seen(event))
          remotes.add(`${event.remote.address} ${session?.remote.address}`)
        },
      },
    })
    services.push(service)
    const client = await service.connect()
    client.send(Buffer.from(send, 'latin1'))
    client.end()
    await client.repliesToEnd()
    await eventually(() => service.server.sessionCount === 0, 'the session is over')
    expect(refused).toEqual(told)
    if (told.length > 0) expect([...remotes]).toEqual(['127.0.0.1 127.0.0.1'])
  },
)

/** Starts a server that records its refusals and errors. */
async function listening(profile: Profile, told: string[], errors: unknown[] = []): Promise<Service> {
  const service = await Service.start(profile, {
    options: {
      refused: (event, session) => void told.push(`${seen(event)}${session === undefined ? ' without a session' : ''}`),
      error: (error, session) => void errors.push(session === undefined ? 'without a session' : error),
    },
  })
  services.push(service)
  return service
}

test('the hook gets no session for a refusal of too many connections', async () => {
  const told: string[] = []
  const service = await listening({ limits: { maxConnections: 1 } }, told)
  await service.client()
  const second = await service.connect()
  await second.repliesToEnd()
  expect(told).toEqual([' 421 4.7.0 without a session'])
})

test.each([
  ['between commands', [EHLO], ' 421 4.4.2'],
  ['in a message', [EHLO, MAIL, RCPT, 'DATA'], 'DATA 421 4.4.2'],
])('the hook gets a timeout %s', async (_, lines, expected) => {
  const told: string[] = []
  const service = await listening({ limits: { idleTimeoutMs: 200, dataTimeoutMs: 200 } }, told)
  const client = await service.at(lines)
  await client.repliesToEnd()
  expect(told).toEqual([expected])
})

test('the hook gets no refusal when the server stops', async () => {
  const told: string[] = []
  const service = await listening({}, told)
  const client = await service.client()
  await service.server.close({ graceMs: 1_000 })
  await client.repliesToEnd()
  expect(told).toEqual([])
})

test.each([
  [
    'no handshake follows STARTTLS',
    async (client: SocketClient) => {
      await client.expectAll([EHLO, 'STARTTLS'])
      client.send('this is no ClientHello\r\n')
    },
  ],
  [
    'bytes in clear follow STARTTLS',
    async (client: SocketClient) => {
      await client.expectAll([EHLO])
      client.send('STARTTLS\r\nNOOP\r\n')
    },
  ],
  [
    'the client leaves after STARTTLS',
    async (client: SocketClient) => {
      await client.expectAll([EHLO, 'STARTTLS'])
      client.reset()
    },
  ],
  [
    'the client speaks TLS 1.0 alone',
    async (client: SocketClient) => {
      await client.expectAll([EHLO, 'STARTTLS'])
      await client.startTls({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }).catch(() => {})
    },
  ],
])('a failed handshake is reported with its reason and session: %s', async (_, fail) => {
  const errors: unknown[] = []
  const service = await listening({}, [], errors)
  const client = await service.client()
  await fail(client)
  await eventually(() => errors.length > 0, 'the failure is told')
  const [error] = errors
  expect(error).toBeInstanceOf(ArrivalError)
  expect(error).toMatchObject({ stage: 'tls-handshake', remote: { address: '127.0.0.1' } })
  expect((error as ArrivalError).message).not.toBe('')
  client.close()
})

test('a hook that throws is reported, and the session goes on', async () => {
  const errors: unknown[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    refused() {
      throw new Error('of the log')
    },
    error: (error) => void errors.push(String(error)),
  })
  const [far, served] = pair()
  const client = new DuplexClient(far)
  const over = server.accept(served)
  void client.send('WHAT\r\nNOOP\r\nQUIT\r\n')
  expect((await client.repliesToEnd()).map(({ code }) => code)).toEqual([220, 500, 250, 221])
  client.end()
  await over
  expect(errors).toEqual(['Error: of the log'])
})
