/** The server's memory stays flat, whatever clients send, hold back, or do not read. */
import { describe, expect, test } from 'vitest'
import { type Command, COMMANDS } from '../kit/commands.ts'
import { messageOf, MiB } from '../corpus/messages.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { pieces } from '../corpus/cut.ts'
import { PASSWORD_HASH, USER } from '../contracts/wire/user.ts'
import { sendByData, sendEnvelope } from '../corpus/send.ts'
import { serveMail } from '../kit/postern.ts'
import { filesIn } from '../peers/store.ts'
import { Scratch } from '../kit/scratch.ts'
import { isThorough, sample } from '../kit/sample.ts'
import { BOUND_BYTES, measure, ROUND_BOUND_BYTES, settledBytes, tell } from './memory.ts'

const CLIENTS = 1_000
const DEAF_CLIENTS = 100
/** A client counts as waiting if it could not send a block for so long. */
const STUCK_MS = 1_000

const LINES = Buffer.alloc(MiB, `${'x'.repeat(62)}\r\n`)

/** What a client sends without end. */
const FLOOD_MIB = isThorough ? 1024 : 384
const FLOOD = FLOOD_MIB * MiB

/** The ways to send a flood: a run looks at one. */
const FLOODS = sample([1, 2, 3], 1)

const RUNTIMES = Object.keys(COMMANDS) as (keyof typeof COMMANDS)[]

interface Place {
  readonly runtime: string
  readonly command: Command
  readonly boundBytes: number
}

/**
 * Declares a test on one runtime, which the seed chooses, because the engine is the same on each. `THOROUGH=1` takes all.
 *
 * @param salt 1, 2 and 3 are floods
 */
function testOn(salt: number, title: string, run: (place: Place) => Promise<void>, timeoutMs?: number): void {
  if (salt <= 3 && !FLOODS.includes(salt)) return
  describe.each(sample(RUNTIMES, 1, salt))('on %s', (runtime) => {
    test(title, () => run({ runtime, command: COMMANDS[runtime], boundBytes: BOUND_BYTES[runtime] ?? 0 }), timeoutMs)
  })
}

testOn(
  1,
  `${FLOOD_MIB} MiB by DATA to a limit of 25 MiB, read to its end: 552, and memory stays flat`,
  async ({ runtime, command, boundBytes }) => {
    await using scratch = await Scratch.make()
    await using server = await serveMail({
      command,
      store: scratch.join('mail'),
      flags: ['--max-drain-bytes', '1100MiB'],
    })
    const base = await settledBytes(server)
    const files = await filesIn(server.store)
    using client = await SocketClient.ready(server.port)
    await sendEnvelope(client, {})
    await client.command('DATA', 354)
    const startedAt = Date.now()
    const measured = await measure(server, base, async () => {
      for (let sent = 0; sent < FLOOD; sent += LINES.length) await client.send(LINES)
      await client.send('.\r\n')
      await client.expect(552, '5.3.4')
    })
    tell(runtime, `${FLOOD_MIB} MiB by DATA, all read, in ${Date.now() - startedAt} ms`, measured)
    expect(measured.growthBytes).toBeLessThan(boundBytes)
    expect(await filesIn(server.store)).toEqual(files)
    // The session goes on.
    expect((await sendByData(client, { bytes: messageOf(1_000).bytes })).code).toBe(250)
    await client.quit()
  },
)

testOn(
  2,
  `${FLOOD_MIB} MiB by BDAT, in one chunk and in many: 552, and memory stays flat`,
  async ({ runtime, command, boundBytes }) => {
    await using scratch = await Scratch.make()
    await using server = await serveMail({
      command,
      store: scratch.join('mail'),
      flags: ['--max-drain-bytes', '1100MiB'],
    })
    const base = await settledBytes(server)
    const files = await filesIn(server.store)
    using client = await SocketClient.ready(server.port)
    const measured = await measure(server, base, async () => {
      await sendEnvelope(client, {})
      await client.send(`BDAT ${FLOOD / 2} LAST\r\n`)
      for (let sent = 0; sent < FLOOD / 2; sent += LINES.length) await client.send(LINES)
      await client.expect(552, '5.3.4')
      await sendEnvelope(client, {})
      for (let sent = 0; sent < FLOOD / 2; sent += LINES.length) {
        await client.send(`BDAT ${LINES.length}\r\n`)
        await client.send(LINES)
      }
      for (let i = 0; i < 25; i++) await client.expect(250)
      await client.expect(552, '5.3.4')
      for (let i = 26; i < FLOOD_MIB / 2; i++) await client.expect(503, '5.5.1')
    })
    tell(runtime, `${FLOOD_MIB} MiB by BDAT, half of it in one chunk, half in chunks of 1 MiB`, measured)
    expect(measured.growthBytes).toBeLessThan(boundBytes)
    expect(await filesIn(server.store)).toEqual(files)
    await client.quit()
  },
  60_000,
)

testOn(
  3,
  `${FLOOD_MIB} MiB by DATA with the default drain cap: 421 and closed, and memory stays flat`,
  async ({ runtime, command, boundBytes }) => {
    await using scratch = await Scratch.make()
    await using server = await serveMail({ command, store: scratch.join('mail') })
    const base = await settledBytes(server)
    const files = await filesIn(server.store)
    using client = await SocketClient.ready(server.port)
    await sendEnvelope(client, {})
    await client.command('DATA', 354)
    let sent = 0
    const measured = await measure(server, base, async () => {
      const reply = client.expect(421, '4.7.0')
      reply.catch(() => {})
      // Acts like a sender that does not read replies before its end of data.
      while (sent < FLOOD && !client.isOver) {
        const isTaken = await client.send(LINES).then(
          () => true,
          () => false,
        )
        if (!isTaken) break
        sent += LINES.length
      }
      await reply
      await client.ended(15_000)
    })
    tell(
      runtime,
      `${FLOOD_MIB} MiB by DATA, the default drain cap, ${sent / MiB} MiB sent when it was closed`,
      measured,
    )
    expect(sent).toBeGreaterThan(125 * MiB)
    expect(measured.growthBytes).toBeLessThan(boundBytes)
    expect(await filesIn(server.store)).toEqual(files)
  },
  60_000,
)

testOn(
  4,
  '1,000 clients that each hold a half-sent command line at its limit: memory stays flat',
  async ({ runtime, command, boundBytes }) => {
    await using scratch = await Scratch.make()
    const flags = ['--max-connections', '2000', '--max-connections-per-address', '2000', '--auth-without-tls']
    flags.push('--users', `${USER}:${PASSWORD_HASH}`)
    await using server = await serveMail({ command, store: scratch.join('mail'), flags })
    const base = await settledBytes(server)
    // The longest line there is: AUTH's, 12,288 octets (RFC 4954 4), CRLF included.
    const held = Buffer.from(`AUTH PLAIN ${'A'.repeat(12_288 - 11 - 2)}`)
    const clients: SocketClient[] = []
    try {
      const connected = await measure(server, base, async () => {
        for (let i = 0; i < CLIENTS; i += 50) {
          clients.push(...(await Promise.all(Array.from({ length: 50 }, () => SocketClient.ready(server.port)))))
        }
      })
      tell(runtime, `${CLIENTS} clients connected`, connected)
      const holding = await measure(server, base, async () => {
        for (const client of clients) await client.sendPieces(pieces(held, 1_460))
        await new Promise((resolve) => setTimeout(resolve, 1_000))
      })
      tell(runtime, `${CLIENTS} clients, each holding ${held.length} octets of a line`, holding)
      expect(holding.growthBytes).toBeLessThan(boundBytes)

      const peaks: number[] = []
      for (let round = 1; round <= 6; round++) {
        const overlong = await measure(server, base, async () => {
          for (const client of clients) await client.send(Buffer.alloc(100_000, 'A'))
          await new Promise((resolve) => setTimeout(resolve, 200))
        })
        tell(runtime, `${CLIENTS} clients, each ${round}00,000 octets past the limit`, overlong)
        peaks.push(overlong.peakBytes)
      }
      const growth = Math.max(...peaks.slice(3)) - Math.max(...peaks.slice(0, 3))
      expect(growth).toBeLessThan(ROUND_BOUND_BYTES)

      await Promise.all(clients.map((client) => client.command('', 500, '5.5.2')))
      await Promise.all(clients.map((client) => client.command('NOOP', 250)))
    } finally {
      for (const client of clients) client.reset()
    }
  },
  60_000,
)

testOn(
  5,
  '100 clients that pipeline commands and never read a reply: memory stays flat, others are served',
  async ({ runtime, command, boundBytes }) => {
    await using scratch = await Scratch.make()
    const flags = ['--max-connections-per-address', '2000', '--max-idle-commands', '1000000000']
    await using server = await serveMail({ command, store: scratch.join('mail'), flags })
    const base = await settledBytes(server)
    const clients = await Promise.all(
      Array.from({ length: DEAF_CLIENTS }, () => SocketClient.connect(server.port, { isPaused: true })),
    )
    let stuck = 0
    let sent = 0
    const pour = async (client: SocketClient, i: number): Promise<void> => {
      // Long replies fill the buffers of the system quickly. Short ones need long.
      const block = Buffer.from(i % 25 === 0 ? 'NOOP\r\n'.repeat(5_000) : 'EHLO deaf.example\r\n'.repeat(2_000))
      for (let blocks = 0; blocks < 200; blocks++) {
        const handedOver = client.send(block).then(() => true)
        handedOver.catch(() => {})
        const late = new Promise<boolean>((resolve) => setTimeout(resolve, STUCK_MS, false))
        if (!(await Promise.race([handedOver, late]))) {
          stuck++
          return
        }
        sent += block.length
      }
    }
    try {
      const measured = await measure(server, base, async () => {
        await Promise.all(clients.map(pour))
        await new Promise((resolve) => setTimeout(resolve, 500))
        const { bytes } = messageOf(MiB)
        using client = await SocketClient.ready(server.port)
        expect((await sendByData(client, { bytes })).code).toBe(250)
        await client.quit()
      })
      const mebibytes = (sent / MiB).toFixed(1)
      tell(
        runtime,
        `${DEAF_CLIENTS} clients that never read, ${stuck} made to wait, ${mebibytes} MiB of commands`,
        measured,
      )
      expect(measured.growthBytes).toBeLessThan(boundBytes)
      expect(stuck).toBeGreaterThan(DEAF_CLIENTS / 2 - 1)

      // One of the clients reads in the end. It gets every reply, in order.
      const [, repentant] = clients as [SocketClient, SocketClient]
      repentant.resume()
      await repentant.expect(220)
      for (let i = 0; i < 1_000; i++) expect((await repentant.expect(250)).lines[0]).toContain('mx.postern.example')
    } finally {
      for (const client of clients) client.reset()
    }
  },
  60_000,
)
