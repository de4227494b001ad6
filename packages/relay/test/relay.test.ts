/** A relay with a queue and a spool in memory hands mail to a server of this test, over connections in memory. */
import { join } from 'node:path'
import { createServer, type Duplex, reply, type Server, type ServerOptions } from '@postern/engine'
import { ClientError, openClient } from '@postern/engine/client'
import { pair } from '@postern/runtime/memory'
import { memory } from '@postern/storage/memory'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { afterEach, expect, test } from 'vitest'
import type { Hop, Route } from '../src/delivery/hop.ts'
import { QueueError } from '../src/queue/error.ts'
import { memoryQueue } from '../src/queue/memory/index.ts'
import type { Queue } from '../src/queue/queue.ts'
import { LOCAL, type RelayOptions } from '../src/options.ts'
import { Relay } from '../src/relay.ts'
import { Spool } from '../src/spool.ts'

interface Received {
  readonly from: string
  readonly to: readonly string[]
  readonly text: string
}

interface Setup {
  readonly relay: Relay
  readonly queue: Queue
  readonly received: Received[]
  /** Waits until the queue is empty. */
  drained(): Promise<void>
}

const HOP: Hop = { host: 'mx.far.example', port: 25, protocol: 'smtp', implicitTls: false, tls: 'may' }
const open: Setup[] = []
afterEach(async () => {
  for (const { relay, queue } of open.splice(0)) {
    await relay.stop(0)
    await queue.close()
  }
})

let counter = 0
const makeId = (): string => `TESTID0000000000000000${String(counter++).padStart(4, '0')}`

async function setUp(server: Partial<ServerOptions>, options: Partial<RelayOptions> = {}): Promise<Setup> {
  const received: Received[] = []
  const far: Server = createServer({
    hostname: 'mx.far.example',
    async data(message) {
      const text = new TextDecoder().decode(await message.bytes())
      const { reversePath, forwardPaths } = message.envelope
      received.push({ from: reversePath.address, to: forwardPaths.map(({ address }) => address), text })
      return undefined
    },
    ...server,
  })
  const { queue = memoryQueue() } = options
  const relay = new Relay({
    hostname: 'mx.near.example',
    queue,
    spool: new Spool(memory()),
    router: { route: async (): Promise<Route> => ({ hops: [HOP] }) },
    async connect({ host }, _, signal) {
      if (host.startsWith('dead.')) throw new ClientError('no connection', { reason: 'closed', stage: 'connect' })
      const [near, other] = pair()
      void far.accept(other)
      return openClient(near, { hostname: 'mx.near.example', signal })
    },
    destinationOf: (address) => address.slice(address.lastIndexOf('@') + 1),
    makeId,
    ...options,
  })
  const setup = {
    relay,
    queue,
    received,
    async drained() {
      while ((await queue.stats()).entries > 0) await new Promise((resolve) => setTimeout(resolve, 5))
    },
  }
  open.push(setup)
  relay.start()
  return setup
}

const ENVELOPE = { reversePath: 'ann@near.example', body: '7BIT', smtpUtf8: false } as const
const pieces = (text: string): Uint8Array[] => [new TextEncoder().encode(text)]
const MESSAGE = 'From: ann@near.example\r\nSubject: x\r\n\r\nhello\r\n.dot\r\n'

test('hands a message to the server of its destination, and forgets it', async () => {
  const { relay, received, drained } = await setUp({})
  await relay.submit({
    id: makeId(),
    envelope: ENVELOPE,
    recipients: [{ address: 'bob@far.example' }],
    pieces: pieces(MESSAGE),
  })
  await drained()
  expect(received).toEqual([{ from: 'ann@near.example', to: ['bob@far.example'], text: MESSAGE }])
})

test('a refused recipient gets its sender a report, and the others their mail', async () => {
  const { relay, received, drained } = await setUp({
    rcpt: ({ localPart }) => (localPart === 'nobody' ? reply(550, '5.1.1', 'No such user') : undefined),
  })
  const recipients = [{ address: 'nobody@far.example' }, { address: 'bob@far.example' }]
  await relay.submit({ id: makeId(), envelope: ENVELOPE, recipients, pieces: pieces(MESSAGE) })
  await drained()
  expect(received.map(({ from, to }) => [from, ...to])).toEqual([
    ['ann@near.example', 'bob@far.example'],
    ['', 'ann@near.example'],
  ])
  expect(received[1]?.text).toMatch(/^Final-Recipient: rfc822; ?nobody@far\.example\r$/m)
  expect(received[1]?.text).toMatch(/^Diagnostic-Code: smtp; ?550 5\.1\.1 No such user\r$/m)
})

test('a message is not sent again if the queue cannot record that it was delivered, and the record comes later', async () => {
  const queue = memoryQueue()
  const settle = queue.settle.bind(queue)
  let failures = 0
  queue.settle = async (settlements) => {
    if (failures++ === 0) throw new QueueError('full', 'the disk is full')
    return settle(settlements)
  }
  const told: string[] = []
  const events = { failed: (error: unknown) => void told.push(String(error)) }
  const { relay, received, drained } = await setUp({}, { queue, events })
  await relay.submit({
    id: makeId(),
    envelope: ENVELOPE,
    recipients: [{ address: 'bob@far.example' }],
    pieces: pieces(MESSAGE),
  })
  await drained()
  expect(received).toHaveLength(1)
  expect(told).toEqual(['QueueError: the disk is full'])
})

test('a message is not sent again if its report cannot be made', async () => {
  const told: string[] = []
  const { relay, received, drained } = await setUp(
    { rcpt: ({ localPart }) => (localPart === 'nobody' ? reply(550, '5.1.1', 'No such user') : undefined) },
    {
      events: { failed: (error: unknown) => void told.push(String(error)) },
      // Only reports need ids.
      makeId() {
        throw new Error('a bug')
      },
    },
  )
  const recipients = [{ address: 'nobody@far.example' }, { address: 'bob@far.example' }]
  await relay.submit({ id: makeId(), envelope: ENVELOPE, recipients, pieces: pieces(MESSAGE) })
  await drained()
  expect(received.map(({ to }) => to)).toEqual([['bob@far.example']])
  expect(told).toEqual(['Error: a bug'])
})

test('a temporary answer is tried again at the time of the schedule', async () => {
  let count = 0
  const { relay, queue, received } = await setUp({
    rcpt: () => (count++ === 0 ? reply(451, '4.7.1', 'Greylisted') : undefined),
  })
  const id = makeId()
  await relay.submit({ id, envelope: ENVELOPE, recipients: [{ address: 'b@far.example' }], pieces: pieces(MESSAGE) })
  await expect.poll(async () => (await queue.get(id))?.deliveries[0]?.attempts).toBe(1)
  const [delivery] = (await queue.get(id))?.deliveries ?? []
  expect(delivery).toMatchObject({ state: 'waiting', attempts: 1 })
  expect(delivery?.recipients[0]?.lastReply).toMatchObject({ code: 451, enhancedCode: '4.7.1', host: 'mx.far.example' })
  expect((delivery?.dueAt ?? 0) - Date.now()).toBeGreaterThan(200_000)
  await queue.retry([id], Date.now())
  relay.wake()
  await expect.poll(() => received.length).toBe(1)
})

test('a retry by another process is noticed, although the destination rests', async () => {
  const path = join(temporaryDirectory(), 'queue.sqlite')
  const queue = await openSqliteQueue(path)
  let isDead = true
  const { relay, received } = await setUp(
    {},
    { queue, router: { route: async () => ({ hops: [isDead ? { ...HOP, host: 'dead.far.example' } : HOP] }) } },
  )
  const id = makeId()
  await relay.submit({ id, envelope: ENVELOPE, recipients: [{ address: 'b@far.example' }], pieces: pieces(MESSAGE) })
  await expect.poll(async () => (await queue.get(id))?.deliveries[0]?.attempts).toBe(1)
  isDead = false
  await using other = await openSqliteQueue(path, { isOwner: false, create: false })
  expect(await other.retry([id], Date.now())).toBe(1)
  // The schedule would try after minutes, and the destination would rest for half a minute.
  await expect.poll(() => received.length, { timeout: 20_000 }).toBe(1)
}, 30_000)

test('the next hop is tried if one cannot be reached', async () => {
  const failed: string[] = []
  const hops = [{ ...HOP, host: 'dead.far.example' }, HOP]
  const { relay, received, drained } = await setUp(
    {},
    { router: { route: async () => ({ hops }) }, events: { hopFailed: ({ host }) => failed.push(host) } },
  )
  await relay.submit({
    id: makeId(),
    envelope: ENVELOPE,
    recipients: [{ address: 'b@far.example' }],
    pieces: pieces(MESSAGE),
  })
  await drained()
  expect([received.length, failed]).toEqual([1, ['dead.far.example']])
})

test('a route that says no fails for good, and the report has its code', async () => {
  const route = { isTemporary: false, code: 556, enhancedCode: '5.1.10', text: 'the domain takes no mail' }
  const { relay, received, drained } = await setUp(
    {},
    {
      router: {
        route: async (destination): Promise<Route> => (destination === 'null.example' ? route : { hops: [HOP] }),
      },
    },
  )
  await relay.submit({
    id: makeId(),
    envelope: ENVELOPE,
    recipients: [{ address: 'b@null.example' }],
    pieces: pieces(MESSAGE),
  })
  await drained()
  expect(received.map(({ from, to }) => [from, ...to])).toEqual([['', 'ann@near.example']])
  expect(received[0]?.text).toMatch(/^Status: 5\.1\.10\r$/m)
})

test('many messages to one destination share connections', async () => {
  let connections = 0
  const { relay, received, drained } = await setUp({ connect: () => void connections++ })
  const all = Array.from({ length: 200 }, (_, at) =>
    relay.submit({
      id: makeId(),
      envelope: ENVELOPE,
      recipients: [{ address: `b${at}@far.example` }],
      pieces: pieces(MESSAGE),
    }),
  )
  await Promise.all(all)
  await drained()
  expect(received).toHaveLength(200)
  expect(connections).toBeLessThanOrEqual(20)
})

/** A server that offers PIPELINING and CHUNKING, and answers a transaction when its last octet is there. It leaves without a word instead if it is told so. */
async function* answers(far: Duplex, leaves: (transaction: number) => boolean): AsyncGenerator<string, void> {
  let text = ''
  for (let transaction = 0; ;) {
    const bytes = await far.read()
    if (bytes === null) return
    text += new TextDecoder().decode(bytes)
    if (text.startsWith('QUIT')) return yield '221 bye\r\n'
    if (text.startsWith('EHLO')) yield '250-mx.far.example\r\n250-PIPELINING\r\n250 CHUNKING\r\n'
    else if (!text.endsWith(MESSAGE)) continue
    else if (leaves(transaction++)) return far.destroy()
    else yield '250 fine\r\n'.repeat(3)
    text = ''
  }
}

async function answer(far: Duplex, leaves: (transaction: number) => boolean): Promise<void> {
  const write = (reply: string): void | Promise<void> => far.write(new TextEncoder().encode(reply))
  await write('220 mx.far.example\r\n')
  for await (const reply of answers(far, leaves)) await write(reply)
  await far.end()
}

test('a small message goes with its commands, and once more on a new connection if the old one ends without a reply', async () => {
  let connections = 0
  let unanswered = 0
  const { relay, queue, drained } = await setUp(
    {},
    {
      // The connection stays, however slow the machine is.
      connections: { idleMs: 600_000 },
      async connect(_, __, signal) {
        const [near, far] = pair()
        const isFirst = connections++ === 0
        void answer(far, (transaction) => isFirst && transaction === 1)
        return openClient(near, { hostname: 'mx.near.example', signal })
      },
      events: { unanswered: () => unanswered++ },
    },
  )
  const send = (): Promise<void> =>
    relay.submit({
      id: makeId(),
      envelope: ENVELOPE,
      recipients: [{ address: 'b@far.example' }],
      pieces: pieces(MESSAGE),
    })
  await send()
  await drained()
  expect([connections, unanswered]).toEqual([1, 0])
  await send()
  await drained()
  expect([connections, unanswered, (await queue.list()).entries]).toEqual([2, 1, []])
})

test('a report about a report is never made', async () => {
  const { relay, received, drained } = await setUp({ rcpt: () => reply(550, '5.1.1', 'Nobody') })
  await relay.submit({
    id: makeId(),
    envelope: ENVELOPE,
    recipients: [{ address: 'b@far.example' }],
    pieces: pieces(MESSAGE),
  })
  await drained()
  expect(received).toEqual([])
})

test('a dead destination does not delay others', async () => {
  const { relay, received } = await setUp(
    {},
    { router: { route: async (host) => ({ hops: [{ ...HOP, host }] }) }, maxDeliveries: 5 },
  )
  const send = (address: string): Promise<void> =>
    relay.submit({ id: makeId(), envelope: ENVELOPE, recipients: [{ address }], pieces: pieces(MESSAGE) })
  for (let at = 0; at < 50; at++) await send(`b${at}@dead.example`)
  await send('b@alive.example')
  await expect.poll(() => received.map(({ to }) => to[0])).toEqual(['b@alive.example'])
})

/** For a busy machine. */
const PATIENT = { timeout: 60_000 }

test('the start removes messages without an entry, but none that is about to get one', async () => {
  const blobs = memory()
  const spool = new Spool(blobs)
  await spool.save('ORPHAN', pieces(MESSAGE))
  // The time of a message has to be over before the relay looks at it.
  const savedAt = Date.now()
  while (Date.now() === savedAt) await new Promise((resolve) => setTimeout(resolve, 1))
  const received: string[] = []
  const queue = memoryQueue()
  const relay = new Relay({
    hostname: 'mx.near.example',
    queue,
    spool,
    router: { route: async () => ({ hops: [HOP] }) },
    connect: () => Promise.reject(new ClientError('no connection', { reason: 'closed', stage: 'connect' })),
    destinationOf: () => LOCAL,
    keepHere: async ({ addresses }) => {
      received.push(...addresses)
      return addresses.map(() => ({ state: 'delivered', code: 250, enhancedCode: '2.0.0', text: 'kept' }))
    },
    makeId,
    orphanAgeMs: 0,
  })
  open.push({ relay, queue, received: [], drained: async () => {} })
  await relay.submit({
    id: 'ARRIVING',
    envelope: ENVELOPE,
    recipients: [{ address: 'bob@near.example' }],
    pieces: pieces(MESSAGE),
    async before() {
      relay.start()
      await expect.poll(async () => (await blobs.list()).keys, PATIENT).toEqual(['spool/ARRIVING'])
    },
  })
  await expect.poll(() => received, PATIENT).toEqual(['bob@near.example'])
  await expect.poll(async () => (await blobs.list()).keys, PATIENT).toEqual([])
})

const COPY = { envelope: { ...ENVELOPE, forwardedBy: 'near.example' }, recipients: [{ address: 'copy@far.example' }] }

test('a message that has only copies is sent as its copies, with a rewritten sender', async () => {
  const blobs = memory()
  const { relay, received, drained } = await setUp(
    {},
    { spool: new Spool(blobs), rewriteSender: (from, domain) => `SRS0=${from.replace('@', '=')}@${domain}` },
  )
  const id = makeId()
  await relay.submit({
    id,
    envelope: ENVELOPE,
    recipients: [],
    pieces: pieces(MESSAGE),
    async copies(openMessage) {
      async function* forwarded(): AsyncGenerator<Uint8Array, void, undefined> {
        yield new TextEncoder().encode('Delivered-To: x@near.example\r\n')
        yield* openMessage()
      }
      return [{ ...COPY, id: `${id}.1`, pieces: forwarded() }]
    },
  })
  await drained()
  expect(received).toEqual([
    {
      from: 'SRS0=ann=near.example@near.example',
      to: ['copy@far.example'],
      text: `Delivered-To: x@near.example\r\n${MESSAGE}`,
    },
  ])
  await expect.poll(async () => (await blobs.list({ prefix: '' })).keys).toEqual([])
})

test.each(['copies', 'a copy that breaks off', 'before'])('if %s fails, nothing is kept', async (what) => {
  const blobs = memory()
  const { relay, queue, received } = await setUp({}, { spool: new Spool(blobs) })
  const id = makeId()
  const failure = new Error('it failed')
  async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
    yield new Uint8Array(10)
    throw failure
  }
  const submitted = relay.submit({
    id,
    envelope: ENVELOPE,
    recipients: [{ address: 'b@far.example' }],
    pieces: pieces(MESSAGE),
    async copies() {
      if (what === 'copies') throw failure
      const last = what === 'before' ? pieces(MESSAGE) : broken()
      return [
        { ...COPY, id: `${id}.1`, pieces: pieces(MESSAGE) },
        { ...COPY, id: `${id}.2`, pieces: last },
      ]
    },
    async before() {
      if (what === 'before') throw failure
    },
  })
  await expect(submitted).rejects.toBe(failure)
  expect([(await queue.stats()).entries, (await blobs.list({ prefix: '' })).keys, received]).toEqual([0, [], []])
})

test('what takes mail in place of a server is asked again for those who were not delivered', async () => {
  const asked: (readonly number[])[] = []
  const { relay, queue, drained, received } = await setUp(
    {},
    {
      handOver: (destination) =>
        destination !== 'webhook:x'
          ? undefined
          : async ({ recipients }) => {
              asked.push(recipients.map(({ index }) => index))
              return recipients.map(({ index }) =>
                asked.length === 1 && index === 1
                  ? { state: 'temporary', code: 451, enhancedCode: '4.3.0', text: 'later' }
                  : { state: 'delivered', code: 250, enhancedCode: '2.0.0', text: 'fine' },
              )
            },
    },
  )
  const id = makeId()
  const recipients = ['a', 'b'].map((name) => ({ address: `${name}@near.example`, destination: 'webhook:x' }))
  await relay.submit({ id, envelope: ENVELOPE, recipients, pieces: pieces(MESSAGE) })
  await expect.poll(async () => (await queue.get(id))?.deliveries[0]?.attempts).toBe(1)
  await queue.retry([id], Date.now())
  relay.wake()
  await drained()
  expect([asked, received]).toEqual([[[0, 1], [1]], []])
})
