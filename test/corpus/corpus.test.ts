/**
 * Sends the corpus to the real server. The stored bytes below the trace header must be the sent bytes, however the message was
 * sent and cut.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type MailServer, posternOver, serveMail } from '../kit/postern.ts'
import { difference, idIn, keptIds, protocolOf, readKept, sha256 } from '../peers/store.ts'
import { sample } from '../kit/sample.ts'
import { Scratch } from '../kit/scratch.ts'
import { CUTS, type Cut, cutName, isUseful, pieces } from './cut.ts'
import { AWKWARD, type AwkwardMessage, LIMIT_BYTES, messageOf, MiB } from './messages.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { type Chunking, sendByBdat, sendByData, sendEnvelope, textOf } from './send.ts'

const CHUNKINGS: readonly Chunking[] = [
  { chunks: 'whole', emptyLast: false },
  { chunks: 'whole', emptyLast: true },
  { chunks: 1, emptyLast: false },
  { chunks: 7, emptyLast: true },
  { chunks: 1_000, emptyLast: false },
  { chunks: 65_536, emptyLast: true },
  { chunks: { seed: 4, most: 10_000 }, emptyLast: false },
]
/** Ways to send a message in one run. The seed chooses them, for each message others. `THOROUGH=1` takes all. */
const WAYS = 8
/** Messages that the command line shows as well. Each takes a process. */
const SHOWN = sample(AWKWARD, 2)
/** The most chunks of one message. Each is a command with a reply, and takes time. */
const MAX_CHUNKS = 3_000

let scratch: Scratch
let server: MailServer

beforeAll(async () => {
  scratch = await Scratch.make()
  server = await serveMail({ store: scratch.join('mail') })
})

afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await scratch[Symbol.asyncDispose]()
})

/** A way to send, and its name. */
interface Way {
  readonly name: string
  send(client: SocketClient): Promise<{ readonly text: string }>
}

function waysFor(message: AwkwardMessage, cuts: readonly Cut[], chunkings: readonly Chunking[]): Way[] {
  const { bytes, body, byData } = message
  const data = cuts
    .filter((cut) => byData && isUseful(bytes.length, cut))
    .map((cut): Way => ({
      name: `DATA ${cutName(cut)}`,
      send: (client) => sendByData(client, { bytes, body, cut }),
    }))
  const bdat = chunkings
    .filter(({ chunks }) => isUseful(bytes.length, chunks) && bytes.length / octetsOf(chunks) <= MAX_CHUNKS)
    .flatMap((chunking, i) =>
      cuts
        // Combines each cut with every other way to chunk, and each way to chunk with every other cut.
        .filter((cut, j) => (i + j) % 2 === 0 && isUseful(bytes.length, cut))
        .map((cut): Way => ({
          name: `BDAT ${cutName(chunking.chunks)}${chunking.emptyLast ? ' and 0 LAST' : ''}, ${cutName(cut)}`,
          send: (client) => sendByBdat(client, { bytes, body, cut }, chunking),
        })),
    )
  return [...data, ...bdat]
}

function octetsOf(cut: Cut): number {
  if (cut === 'whole') return Infinity
  return typeof cut === 'number' ? cut : cut.most / 2
}

/** Sends a message in every way, in one session, and compares what is stored. */
async function roundTrip(message: AwkwardMessage, ways: readonly Way[], isShown: boolean): Promise<void> {
  using client = await SocketClient.ready(server.port)
  const ids: string[] = []
  for (const { name, send } of ways) {
    const reply = await send(client)
    expect(reply.text, name).toMatch(/^250 2\.0\.0 /)
    const kept = await readKept(server.store, idIn(reply.text))
    expect(difference(kept.bytes, message.bytes), name).toBeUndefined()
    expect(kept.record.body, name).toBe(message.body)
    expect(protocolOf(kept), name).toBe('ESMTP')
    ids.push(kept.record.id)
  }
  await client.quit()
  expect(ids.length).toBeGreaterThan(0)
  expect(new Set(ids).size).toBe(ids.length)

  if (!isShown) return
  const id = ids.at(-1) as string
  const { stored } = await readKept(server.store, id)
  const shown = await posternOver(server.store, ['show', '--raw', id])
  expect(shown.code, shown.stderr).toBe(0)
  expect(difference(shown.bytes, stored)).toBeUndefined()
}

for (const [index, message] of AWKWARD.entries()) {
  const ways = sample(waysFor(message, CUTS, CHUNKINGS), WAYS, index)
  test.concurrent(
    `${message.name} is stored byte for byte`,
    () => roundTrip(message, ways, SHOWN.includes(message)),
    60_000,
  )
}

test('a message of 25 MiB, exactly the limit, is stored byte for byte', async () => {
  const message = messageOf(LIMIT_BYTES)
  const ways = waysFor(
    message,
    ['whole', 1_460, 65_536, { seed: 5, most: 100_000 }],
    [
      { chunks: 'whole', emptyLast: false },
      { chunks: MiB, emptyLast: true },
    ],
  )
  await roundTrip(message, sample(ways, 2), true)
})

test('a message one octet over the limit is refused by DATA, by BDAT and by SIZE, and the session goes on', async () => {
  const before = await keptIds(server.store)
  const { bytes } = messageOf(LIMIT_BYTES + 1)
  using client = await SocketClient.ready(server.port)
  expect((await sendByData(client, { bytes })).text).toMatch(/^552 5\.3\.4 /)
  await client.command('NOOP', 250)
  expect((await sendByBdat(client, { bytes }, { chunks: 'whole', emptyLast: false })).text).toMatch(/^552 5\.3\.4 /)
  await client.command('NOOP', 250)
  await client.command(`MAIL FROM:<ann@sender.example> SIZE=${bytes.length}`, 552, '5.3.4')
  await client.command(`MAIL FROM:<ann@sender.example> SIZE=${LIMIT_BYTES}`, 250)
  await client.command('RSET', 250)
  expect(await keptIds(server.store)).toEqual(before)

  const reply = await sendByData(client, { bytes: messageOf(1_000).bytes })
  expect(reply.code).toBe(250)
})

test('a chunk over the limit ends its message, and later chunks are refused because no transaction is open', async () => {
  const before = await keptIds(server.store)
  using client = await SocketClient.ready(server.port)
  await sendEnvelope(client, {})
  const first = Buffer.alloc(20 * MiB, 'a')
  await client.send(Buffer.concat([Buffer.from(`BDAT ${first.length}\r\n`), first]))
  await client.expect(250)
  await client.send(Buffer.concat([Buffer.from(`BDAT ${first.length}\r\n`), first, Buffer.from('BDAT 3 LAST\r\nxyz')]))
  await client.expect(552, '5.3.4')
  await client.expect(503, '5.5.1')
  await client.quit()
  expect(await keptIds(server.store)).toEqual(before)
})

test('messages with line ends near the end of a packet are stored byte for byte, for packets of every length', async () => {
  // A search by words has an unaligned rest at the end. A line end in it, with a new line behind it, once hung the server.
  // So this test has its own server.
  await using scratch = await Scratch.make()
  await using server = await serveMail({ store: scratch.join('mail') })
  using client = await SocketClient.ready(server.port)
  for (let length = 1_021; length <= 1_024; length++) {
    for (let tail = 0; tail <= 8; tail++) {
      const first = `${'x'.repeat(length - tail - 2)}\r\n${'y'.repeat(tail)}`
      const bytes = Buffer.from(`${first}z\r\nend\r\n`)
      await sendEnvelope(client, {})
      await client.command('DATA', 354)
      await client.send(first)
      await new Promise((resolve) => setTimeout(resolve, 10))
      await client.send(`${bytes.subarray(length).toString()}.\r\n`)
      const reply = await client.reply(5_000)
      expect(reply.text, `packet of ${length}, ${tail} behind the line end`).toMatch(/^250 2\.0\.0 /)
      const { bytes: stored } = await readKept(server.store, idIn(reply.text))
      expect(difference(stored, bytes)).toBeUndefined()
    }
  }
  await client.quit()
})

test('a hundred chunks that are pipelined behind a refused one do not count as errors, and the session goes on', async () => {
  using client = await SocketClient.ready(server.port)
  const { bytes } = messageOf(LIMIT_BYTES + 100 * 1_000)
  await sendEnvelope(client, {})
  const parts = [bytes.subarray(0, LIMIT_BYTES + 1)]
  for (let at = LIMIT_BYTES + 1; at < bytes.length; at += 1_000) parts.push(bytes.subarray(at, at + 1_000))
  const wire = parts.flatMap((part) => [Buffer.from(`BDAT ${part.length}\r\n`), part])
  await client.send(Buffer.concat([...wire, Buffer.from('BDAT 0 LAST\r\n')]))
  await client.expect(552, '5.3.4')
  for (let i = 0; i < parts.length; i++) await client.expect(503, '5.5.1')
  await client.command('NOOP', 250)
  await client.quit()
})

test('two messages in one packet are both whole, the second by BDAT', async () => {
  const { bytes } = messageOf(5_000)
  using client = await SocketClient.ready(server.port)
  const envelope = 'MAIL FROM:<ann@sender.example>\r\nRCPT TO:<bob@postern.example>\r\n'
  const packet = Buffer.concat([
    Buffer.from(`${envelope}DATA\r\n`),
    textOf(bytes),
    Buffer.from(`${envelope}BDAT ${bytes.length} LAST\r\n`),
    bytes,
    Buffer.from('QUIT\r\n'),
  ])
  await client.sendPieces(pieces(packet, 1_460))
  const codes: number[] = []
  const ids: string[] = []
  for (let i = 0; i < 8; i++) {
    const reply = await client.reply()
    codes.push(reply.code)
    if (/queued/.test(reply.text)) ids.push(idIn(reply.text))
  }
  expect(codes).toEqual([250, 250, 354, 250, 250, 250, 250, 221])
  expect(ids).toHaveLength(2)
  for (const id of ids) expect(sha256((await readKept(server.store, id)).bytes)).toBe(sha256(bytes))
})

test('every kept message is listed once', async () => {
  const listed = await posternOver(server.store, ['list', '--json', '--limit', '100000'])
  expect(listed.code, listed.stderr).toBe(0)
  const { records, corrupt } = JSON.parse(listed.stdout.toString()) as { records: { id: string }[]; corrupt: string[] }
  expect(corrupt).toEqual([])
  expect(records.map(({ id }) => id).toReversed()).toEqual(await keptIds(server.store))
})
