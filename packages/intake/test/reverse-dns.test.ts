/** The guard that looks up the names of clients. It never refuses, and nothing that DNS does delays a client without end. */
import { createServer, type Endpoint, type ReverseDns, type Session } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { mailStore } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { describe, expect, test } from 'vitest'
import { DuplexClient } from '../../../test/kit/client/duplex-client.ts'
import { type Answer, FakeResolver } from '../../dns/test/fake.ts'
import { reverseDnsGuard, type ReverseDnsOptions } from '../src/guards/index.ts'
import { intake } from '../src/index.ts'

const CLIENT: Endpoint = { family: 'ipv4', address: '192.0.2.1', port: 1234 }
const SERVER: Endpoint = { family: 'ipv4', address: '192.0.2.25', port: 25 }
const POINTER = 'PTR 1.2.0.192.in-addr.arpa'

function found(record: string): Answer {
  return { status: 'found', records: [record], name: '', ttlSeconds: 60, isAuthentic: false } as Answer
}
const NAMED = { [POINTER]: found('mail.example'), 'A mail.example': found('192.0.2.1') }
const HANGING: ReverseDnsOptions['resolver'] = { resolve: () => new Promise(() => {}) }

interface Look {
  readonly greeting: string
  /** What the user's own `connect` hook and the observer saw. */
  readonly seen: readonly (ReverseDns | undefined)[]
  readonly failures: readonly unknown[]
  readonly record: ReverseDns | undefined
  readonly trace: string
}

/** Sends a message to a server with the guard. */
async function look(options: Omit<ReverseDnsOptions, 'failed'>, remote: Endpoint = CLIENT): Promise<Look> {
  const seen: (ReverseDns | undefined)[] = []
  const failures: unknown[] = []
  const store = mailStore(memory())
  const see = (session: Session): void => void seen.push(session.reverseDns)
  const server = createServer({
    hostname: 'mx.example.com',
    ...intake({
      store,
      firstGuards: [reverseDnsGuard({ ...options, failed: (why) => failures.push(why) })],
      handlers: { connect: see },
      observer: { connected: see },
    }),
  })
  const [far, near] = pair({ endpoints: [remote, SERVER] })
  const served = server.accept(near)
  const client = new DuplexClient(far)
  const greeting = (await client.reply()).text
  for (const line of ['EHLO a.example', 'MAIL FROM:<a@b.example>', 'RCPT TO:<c@d.example>', 'DATA']) {
    await client.command(line)
  }
  await client.command('Subject: x\r\n\r\nx\r\n.', 250)
  client.end()
  await served
  const { records } = await store.list()
  const [record] = records
  const { body } = await store.load(record?.id ?? '')
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk.slice())
  const [trace = ''] = /^Received: from \S+ \([^)]*\)/.exec(Buffer.concat(chunks).toString()) ?? []
  return { greeting, seen, failures, record: record?.session.reverseDns, trace }
}

describe('a client with a confirmed name', () => {
  test('has it before the first hook, in the record and in the trace header', async () => {
    const resolver = new FakeResolver(NAMED)
    const named = { result: 'pass', name: 'mail.example' }
    expect(await look({ resolver })).toEqual({
      greeting: '220 mx.example.com ESMTP Postern',
      seen: [named, named],
      failures: [],
      record: named,
      trace: 'Received: from a.example (mail.example [192.0.2.1])',
    })
    expect(resolver.clients).toEqual([CLIENT, CLIENT])
  })

  test('is asked about once, although two hooks ask', async () => {
    const resolver = new FakeResolver(NAMED)
    const { connect, secure } = reverseDnsGuard({ resolver })
    const session = { remote: CLIENT, signal: new AbortController().signal } as Session
    await secure?.({ protocol: '', cipher: '' }, session)
    expect(connect?.(session)).toBeUndefined()
    expect(session.reverseDns).toEqual({ result: 'pass', name: 'mail.example' })
    expect(resolver.asked).toHaveLength(2)
  })
})

describe('a client without a confirmed name is greeted, and is unknown', () => {
  const failure: Answer = { status: 'failed', reason: 'servfail', detail: 'the server answers SERVFAIL' }
  test.each<[string, ReverseDnsOptions['resolver'], ReverseDns['result'], readonly unknown[]]>([
    ['if it has none', new FakeResolver({}), 'permerror', []],
    ['if the name is not its own', new FakeResolver({ [POINTER]: found('bank.example') }), 'fail', []],
    ['if the server fails', new FakeResolver({ [POINTER]: failure }), 'temperror', ['the server answers SERVFAIL']],
    ['if no answer ever comes', HANGING, 'temperror', ['no answer in time']],
    [
      'if the resolver has a bug',
      { resolve: () => Promise.reject(new Error('a bug')) },
      'temperror',
      [new Error('a bug')],
    ],
  ])('%s', async (_, resolver, result, failures) => {
    const unknown = { result, name: 'unknown' }
    expect(await look({ resolver, timeoutMs: 50 })).toEqual({
      greeting: '220 mx.example.com ESMTP Postern',
      seen: [unknown, unknown],
      failures,
      record: unknown,
      trace: 'Received: from a.example (unknown [192.0.2.1])',
    })
  })
})

test('a client without an IP address is not looked up', async () => {
  const resolver = new FakeResolver({})
  const { seen, record, trace } = await look({ resolver }, { family: 'unix', address: '', port: 0 })
  expect([resolver.asked, seen, record, trace]).toEqual([
    [],
    [undefined, undefined],
    undefined,
    'Received: from a.example (unix)',
  ])
})

test('a client that goes away is no longer looked up', async () => {
  const controller = new AbortController()
  const session = { remote: CLIENT, signal: controller.signal } as Session
  const asked = reverseDnsGuard({ resolver: HANGING, timeoutMs: 2 ** 30 }).connect?.(session)
  controller.abort()
  await asked
  expect(session.reverseDns).toEqual({ result: 'temperror', name: 'unknown' })
})
