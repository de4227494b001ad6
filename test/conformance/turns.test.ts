/** A session that pipelines without end does not block others: the server serves another one long before it is done. */
import { createServer, type Handlers, reply } from '@postern/engine'
import { pair } from '@postern/runtime/memory'
import { expect, test } from 'vitest'
import { bytesOf } from '../../packages/engine/test/proxy-encoder.ts'

const reject = reply(550, '5.7.1', 'Not from you')
const MANY = 20_000
const EHLO = 'EHLO greedy.example\r\n'
const OPEN = `${EHLO}MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\n`

/** Name, the bytes before the flood, one command of the flood, and the hooks of the server. */
const FLOODS: readonly (readonly [name: string, before: string, one: string, hooks: Handlers])[] = [
  ['NOOP', '', 'NOOP\r\n', {}],
  ['EHLO', '', EHLO, {}],
  ['RSET', EHLO, 'RSET\r\n', {}],
  ['RCPT beyond the limit', OPEN, 'RCPT TO:<b@example.com>\r\n', {}],
  [
    'RCPT, and a hook that answers in a microtask',
    OPEN,
    'RCPT TO:<b@example.com>\r\n',
    { rcpt: async () => undefined },
  ],
  ['out of order behind a refusal', `${EHLO}MAIL FROM:<x@example.org>\r\n`, 'RCPT TO:<b@example.com>\r\n', {}],
  ['BDAT 0 within a message', `${OPEN}BDAT 1\r\nx`, 'BDAT 0\r\n', {}],
  ['BDAT 1 within a message', `${OPEN}BDAT 1\r\nx`, 'BDAT 1\r\nx', {}],
  ['NOOP within a message', `${OPEN}BDAT 1\r\nx`, 'NOOP\r\n', {}],
]

test.each(FLOODS)('another session is served during a flood of %s', async (_, before, one, hooks) => {
  let greedyLines = 0
  let servedAfter: number | undefined
  const sessions: string[] = []
  const server = createServer({
    hostname: 'mx.example.com',
    limits: { maxIdleCommands: 1_000_000, maxBadCommands: 1_000_000 },
    mail: ({ address }) => {
      if (address === 'x@example.org') return reject
    },
    connect: (session) => void sessions.push(session.id),
    async data(message) {
      for await (const _ of message.body);
    },
    trace({ sessionId, from, text }) {
      if (from !== 'client') return
      if (sessionId === sessions[0]) greedyLines++
      else if (text === 'QUIT') servedAfter = greedyLines
    },
    ...hooks,
  })
  const size = { highWaterMark: 10_000_000, lingerMs: 50 }
  const [greedy, greedyServed] = pair(size)
  const [neighbour, neighbourServed] = pair(size)
  // The whole flood waits before the server begins.
  void greedy.write(bytesOf(before + one.repeat(MANY)))
  void neighbour.write(bytesOf('EHLO neighbour.example\r\nNOOP\r\nQUIT\r\n'))
  void drain(greedy)
  void drain(neighbour)
  const over = server.accept(greedyServed)
  await server.accept(neighbourServed)
  greedy.destroy()
  await server.close({ graceMs: 0 })
  await over
  expect(servedAfter).toBeGreaterThan(0)
  expect(servedAfter).toBeLessThan(MANY / 10)
})

async function drain(client: { read(): Uint8Array | null | Promise<Uint8Array | null> }): Promise<void> {
  try {
    while ((await client.read()) !== null);
  } catch {
    // The test destroyed the connection.
  }
}
