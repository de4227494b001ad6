/** Many commands in one packet: RFC 2920. The replies depend on the bytes alone, never on how packets cut them. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SocketClient } from '../kit/client/socket-client.ts'
import { eventually } from '../kit/waiting.ts'
import { type ClientReply, short } from '../kit/client/reply.ts'
import { COMMANDS, Model } from './model.ts'
import { Service } from './service.ts'

let service: Service
beforeAll(async () => {
  service = await Service.start({ limits: { maxBadCommands: 10_000, maxIdleCommands: 1_000_000 } })
})
afterAll(() => service.close())

const EHLO = 'EHLO client.example'
const GROUP = 'MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<unknown@example.com>\r\nDATA\r\n'

/** Sends bytes in pieces of these sizes, repeating the sizes. */
async function sendCut(client: SocketClient, bytes: Uint8Array, sizes: readonly number[]): Promise<void> {
  const pieces: Uint8Array[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : (sizes[i % sizes.length] as number)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  await client.sendPieces(pieces)
}

/** Returns a reply without the parts that differ between sessions. */
function plain({ raw }: ClientReply): string {
  return raw.replace(/[0-9A-HJKMNP-TV-Z]{26}/, 'ID')
}

describe('replies to one packet', () => {
  test('leave in one write', async () => {
    const client = await service.at([EHLO])
    const record = service.record(client)
    const { writes } = record
    const { arrivals } = client
    client.send(GROUP)
    expect((await client.replies(4)).map(short)).toEqual(['250 2.1.0', '250 2.1.5', '550 5.1.1', '354'])
    expect(record.writes - writes).toBe(1)
    expect(client.arrivals - arrivals).toBe(1)
  })

  test('are as many as the commands', async () => {
    const client = await service.at([EHLO])
    client.send('NOOP\r\n'.repeat(20_000))
    expect((await client.replies(20_000)).every(({ code }) => code === 250)).toBe(true)
  })

  // The server must not buffer the replies of a client that sends and does not read.
  test('do not pile up if the client does not read', async () => {
    const client = await service.at([EHLO])
    client.pause()
    // The command is as long as its reply, so that both directions fill up, however much the system buffers.
    const flood = Buffer.from(`HELP ${'x'.repeat(93)}\r\n`.repeat(10_000))
    for (let i = 0; i < 20; i++) client.send(flood)
    let sent = -1
    await eventually(() => {
      const isStill = client.bytesSent === sent && sent > 0
      sent = client.bytesSent
      return isStill
    }, 'the client has to wait')
    expect(client.socket.writableLength).toBeGreaterThan(0)
    client.resume()
    expect(await drained(client, 20 * 10_000)).toBe(20 * 10_000)
  })
})

/** Counts replies of one line, without reading each. */
async function drained(client: SocketClient, count: number): Promise<number> {
  let seen = 0
  await eventually(
    () => {
      const text = client.take()
      for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) seen++
      return seen >= count
    },
    'all replies',
    100_000,
  )
  return seen
}

/** Limits the time in which a failing case is shrunk. */
const RUNS = { numRuns: 250, interruptAfterTimeLimit: 25_000 } as const

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 8 })

test('the replies to random commands agree with the model', { timeout: 60_000 }, async () => {
  const commands = fc.array(fc.constantFrom(...COMMANDS), { minLength: 1, maxLength: 30 })
  // Mostly commands of a normal client, so that the session reaches deep states.
  const likely = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom('EHLO', 'MAIL', 'RCPT', 'DATA', 'BDAT', 'BDAT LAST' as const) },
      { weight: 1, arbitrary: fc.constantFrom(...COMMANDS) },
    ),
    { minLength: 10, maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(fc.oneof(commands, likely), sizes, async (list, cuts) => {
      const model = new Model()
      const played = list.map((command) => model.play(command as (typeof COMMANDS)[number]))
      const right = played.flatMap(({ replies }) => replies)
      const client = await service.client()
      try {
        await sendCut(client, Buffer.from(played.map(({ bytes }) => bytes).join('')), cuts)
        const replies = (await client.replies(right.length)).map(short)
        // A reply that is right is compared with itself, so that the difference shows only the wrong one.
        expect(replies).toEqual(
          right.map((ones, i) => (ones.includes(replies[i] ?? '') ? replies[i] : ones.join(' or '))),
        )
        expect(short(await client.command('NOOP'))).toBe('250 2.0.0')
        expect(client.unread).toBe('')
        const { kept, errors } = service.record(client)
        expect(kept.map(({ text }) => text)).toEqual(model.kept)
        expect(errors).toEqual([])
      } finally {
        client.close()
      }
    }),
    RUNS,
  )
})

/** Runs a whole session: sends these bytes in these pieces, then ends. */
async function session(bytes: Uint8Array, cuts: readonly number[]): Promise<{ replies: string[]; kept: string[] }> {
  const client = await service.client()
  try {
    await sendCut(client, bytes, cuts)
    client.end()
    const replies = (await client.repliesToEnd()).map(plain)
    const { kept, errors, events } = await service.gone(client)
    expect(errors).toEqual([])
    expect(events.filter((event) => event === 'close')).toHaveLength(1)
    return { replies, kept: kept.map(({ text }) => text) }
  } finally {
    client.close()
  }
}

/** Parts of a session, and bytes that break one. */
const SHARDS: readonly string[] = [
  'EHLO client.example\r\n', 'HELO x\r\n', 'MAIL FROM:<a@example.org>', 'RCPT TO:<b@example.com>', ' SIZE=3', ' BODY=BINARYMIME', ' SMTPUTF8', 'DATA\r\n',
  'BDAT 3', 'BDAT 3 LAST\r\n', ' LAST', 'BDAT 0 LAST\r\n', 'RSET\r\n', 'NOOP', 'VRFY x\r\n', 'QUIT', '\r\n', '\r\n', '\r\n', '\r', '\n', '.', '.\r\n', '\r\n.\r\n', '..', '\0',
  ' ', '\t', 'x'.repeat(600), 'x'.repeat(1_100), 'AUTH PLAIN', 'STARTTLS x', '\xff', '\xc3\xa9', '<', '>', '@', '"', 'GET / HTTP/1.1\r\n', '\x16\x03\x01',
] // prettier-ignore

test(
  'any bytes give the same replies and messages and no error, however they are cut',
  { timeout: 60_000 },
  async () => {
    const start = fc.constantFrom(
      '',
      'EHLO c.example\r\n',
      `EHLO c.example\r\n${GROUP}`,
      `EHLO c.example\r\n${GROUP.replace('DATA\r\n', 'BDAT 2\r\nhi')}`,
    )
    const shards = fc.array(
      fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...SHARDS) }, fc.string({ unit: 'binary-ascii', maxLength: 5 })),
      {
        maxLength: 25,
      },
    )
    await fc.assert(
      fc.asyncProperty(start, shards, sizes, async (before, pieces, cuts) => {
        const bytes = Buffer.from(before + pieces.join(''), 'latin1')
        expect(await session(bytes, cuts)).toEqual(await session(bytes, []))
      }),
      RUNS,
    )
  },
)
