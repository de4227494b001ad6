/** A relay that an alarm calls: it sends what is due, and says when it wants to be called again. */
import { createServer, reply } from '@postern/engine'
import { openClient } from '@postern/engine/client'
import { pair } from '@postern/runtime/memory'
import { memory } from '@postern/storage/memory'
import { expect, test } from 'vitest'
import { memoryQueue } from '../src/queue/memory/index.ts'
import { Relay } from '../src/relay.ts'
import { Spool } from '../src/spool.ts'

const MESSAGE = 'From: ann@near.example\r\nSubject: x\r\n\r\nhello\r\n'
const FIRST_RETRY_MS = 3_600_000
const LONG_MS = 600_000

/** @param codes The server's answers to messages, in their order; then 250 */
function setUp(codes: readonly number[] = []) {
  const taken: string[] = []
  const answers = [...codes]
  const far = createServer({
    hostname: 'far.example',
    async data(message) {
      await message.bytes()
      const code = answers.shift() ?? 250
      if (code !== 250) return reply(code, `${String(code)[0]}.0.0`, 'not now')
      taken.push(message.envelope.forwardPaths.map(({ address }) => address).join())
      return undefined
    },
  })
  let ids = 0
  const relay = new Relay({
    hostname: 'near.example',
    queue: memoryQueue(),
    spool: new Spool(memory()),
    router: {
      route: async () => ({
        hops: [{ host: 'far.example', port: 25, protocol: 'smtp', implicitTls: false, tls: 'never' }],
      }),
    },
    async connect(_, __, signal) {
      const [near, other] = pair()
      void far.accept(other)
      return openClient(near, { hostname: 'near.example', signal })
    },
    destinationOf: (address) => address.slice(address.lastIndexOf('@') + 1),
    makeId: () => `REPORT00000000000000${ids++}`,
    schedule: { firstRetryMs: FIRST_RETRY_MS, jitter: 0 },
    connections: { maxIdle: 0 },
  })
  const submit = (to: string) =>
    relay.submit({
      id: `MESSAGE${ids++}`,
      envelope: { reversePath: '', body: '7BIT', smtpUtf8: false },
      recipients: [{ address: to }],
      pieces: [new TextEncoder().encode(MESSAGE)],
    })
  return { relay, submit, taken }
}

test('an empty queue wants no call', async () => {
  expect(await setUp().relay.sendDue(LONG_MS)).toBeUndefined()
})

test('all that is due is sent before the call ends, and nothing is left to call for', async () => {
  const { relay, submit, taken } = setUp()
  for (const to of ['bob@a.example', 'cat@a.example', 'dog@b.example']) await submit(to)
  expect(await relay.sendDue(LONG_MS)).toBeUndefined()
  expect(taken.toSorted()).toEqual(['bob@a.example', 'cat@a.example', 'dog@b.example'])
})

test('after a temporary answer, the next call is wanted at the time of the schedule', async () => {
  const { relay, submit, taken } = setUp([451])
  await submit('bob@a.example')
  const before = Date.now()
  const next = await relay.sendDue(LONG_MS)
  expect(taken).toEqual([])
  expect(next).toBeGreaterThanOrEqual(before + FIRST_RETRY_MS)
  expect(next).toBeLessThanOrEqual(Date.now() + FIRST_RETRY_MS)
})

test('a message that comes while the call runs is sent by the same call', async () => {
  const { relay, submit, taken } = setUp()
  await submit('bob@a.example')
  const sending = relay.sendDue(LONG_MS)
  await submit('cat@b.example')
  expect(await sending).toBeUndefined()
  expect(taken.toSorted()).toEqual(['bob@a.example', 'cat@b.example'])
})

test('a call whose time is over begins no delivery, and wants the next call at once', async () => {
  const { relay, submit, taken } = setUp()
  await submit('bob@a.example')
  expect(await relay.sendDue(0)).toBeLessThanOrEqual(Date.now())
  expect(taken).toEqual([])
  expect(await relay.sendDue(LONG_MS)).toBeUndefined()
  expect(taken).toEqual(['bob@a.example'])
})
