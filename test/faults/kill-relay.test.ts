/**
 * A server that sends mail on is killed again and again, while a client submits and a sink takes mail. Each message with 250 arrives. It
 * arrives twice only if the sink took it and the result was not recorded: because the server was killed, or because the reply got lost.
 */
import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { openSqliteQueue } from '@postern/relay/sqlite'
import { expect, test } from 'vitest'
import { PASSWORD, PASSWORD_HASH, USER } from '../contracts/wire/user.ts'
import { sendByData } from '../corpus/send.ts'
import { COMMANDS } from '../kit/commands.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { type MailServer, serveMail } from '../kit/postern.ts'
import { chance, isThorough } from '../kit/sample.ts'
import { Scratch } from '../kit/scratch.ts'
import { filesIn, sha256 } from '../peers/store.ts'
import { Sink } from './sink.ts'

/** All runtimes share the code of the queue's commit, so few rounds on the others are enough. */
const ROUNDS = isThorough ? { node: 100, deno: 10, bun: 10 } : { node: 5, deno: 2, bun: 2 }
const SESSIONS = 4
const LEAST_MS = 20
const MOST_MS = 600
const MOST_BYTES = 30_000
/** The sink loses one reply in so many. */
const LOST_IN = 25
const PLAIN = Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')

interface Submitted {
  readonly sha256: string
  readonly byteLength: number
  isAnswered: boolean
}

test.each(['node', 'deno', 'bun'] as const)(
  'if the relay is killed again and again on %s, each message with 250 arrives, and twice only if its result was not recorded',
  async (runtime) => {
    const rounds = ROUNDS[runtime]
    const command = COMMANDS[runtime]
    await using scratch = await Scratch.make()
    const [store, queuePath] = [scratch.join('mail'), scratch.join('queue')]
    const random = chance(7)
    const submitted: Submitted[] = []
    const torn: number[] = []
    await using sink = new Sink((number, message) => {
      const { sha256: wanted, byteLength } = submitted[number] ?? { sha256: '', byteLength: 0 }
      if (sha256(message.subarray(-byteLength)) !== wanted) torn.push(number)
    })
    const port = await sink.listen()
    const flags = [
      `--relay=smtp://127.0.0.1:${port}`,
      `--queue=${queuePath}`,
      `--users=${USER}:${PASSWORD_HASH}`,
      '--domains=near.example',
      '--auth-without-tls',
      '--relay-first-retry-ms=1s',
      // In every other run, workers add to the queue, and the main thread sends. Deno would need a flag.
      `--workers=${runtime === 'deno' ? 1 : 1 + chance(11).below(2)}`,
    ]
    /** How often each message may have arrived at the end of the round, if no reply gets lost in it. */
    const mayHave = new Map<number, number>()
    let unrecorded = 0
    let left = 0

    async function submit(server: MailServer, loggedIn: () => void): Promise<void> {
      try {
        using client = await SocketClient.ready(server.port)
        await client.command(`AUTH PLAIN ${PLAIN}`, 235)
        loggedIn()
        for (;;) {
          const number = submitted.length
          const size = random.between(1, MOST_BYTES)
          const bytes = Buffer.from(
            `X-Number: ${number}\r\n\r\n.${number} `.padEnd(size, `${number}.\r\n.`).replace(/\r$/, '') + '\r\n',
          )
          const one = { sha256: sha256(bytes), byteLength: bytes.length, isAnswered: false }
          submitted.push(one)
          const reply = await sendByData(client, { from: USER, to: [`${number}@far.example`], bytes })
          if (reply.code !== 250) throw new Error(`got ${reply.text}`)
          one.isAnswered = true
        }
      } catch (error) {
        // The server was killed. An unexpected reply still fails the test.
        if (error instanceof Error && error.message.startsWith('got ')) throw error
      }
    }

    /** Returns the numbers of the messages that wait in the queue. */
    async function waiting(): Promise<ReadonlySet<number>> {
      await using queue = await openSqliteQueue(join(queuePath, 'queue.sqlite'), { isOwner: false, create: false })
      const numbers = new Set<number>()
      let cursor: string | undefined
      do {
        const page = await queue.list({ limit: 1_000, ...(cursor !== undefined && { cursor }) })
        for (const { address, state } of page.entries
          .flatMap(({ deliveries }) => deliveries)
          .flatMap((one) => one.recipients))
          if (state === 'pending') numbers.add(Number.parseInt(address, 10))
        cursor = page.cursor
      } while (cursor !== undefined)
      return numbers
    }

    /** Checks the round that is over, and says what the next one may do. */
    function expectNoSurplus(lostBefore: ReadonlyMap<number, number>, inQueue: ReadonlySet<number>): void {
      for (const number of submitted.keys()) {
        const taken = sink.taken.get(number) ?? 0
        const lost = (sink.lost.get(number) ?? 0) - (lostBefore.get(number) ?? 0)
        expect(taken, `copies of message ${number}`).toBeLessThanOrEqual((mayHave.get(number) ?? 1) + lost)
        if (inQueue.has(number) && taken > (sink.lost.get(number) ?? 0)) unrecorded++
        mayHave.set(number, inQueue.has(number) ? taken + 1 : taken)
      }
    }

    for (let round = 0; round < rounds; round++) {
      const lostBefore = new Map(sink.lost)
      await using server = await serveMail({ command, store, flags })
      sink.losesReply = () => random.below(LOST_IN) === 0
      const login = Promise.withResolvers<void>()
      const sessions = Promise.all(Array.from({ length: SESSIONS }, () => submit(server, login.resolve)))
      // In every other round the server may be killed before a client has logged in: it sends what the round before has left.
      if (round % 2 === 0) await Promise.race([login.promise, sessions])
      // A busy machine may have sent nothing on so far, and then the test would check nothing.
      if (round === rounds - 1) await expect.poll(() => sink.taken.size, { timeout: 60_000 }).toBeGreaterThan(rounds)
      await new Promise((resolve) => setTimeout(resolve, random.between(LEAST_MS, MOST_MS)))
      expect(await server.end('SIGKILL')).toBe('SIGKILL')
      await sessions
      await sink.quiet()
      const inQueue = await waiting()
      left += inQueue.size
      expectNoSurplus(lostBefore, inQueue)
    }

    const lostBefore = new Map(sink.lost)
    sink.losesReply = () => false
    await using server = await serveMail({ command, store, flags })
    const spool = join(queuePath, 'spool')
    await expect.poll(async () => (await waiting()).size, { timeout: 100_000 }).toBe(0)
    // Unfinished files go last, beside the deliveries.
    const spooled = async (): Promise<readonly string[]> =>
      (await filesIn(spool)).filter((file) => !file.endsWith('.postern'))
    await expect.poll(spooled, { timeout: 100_000 }).toEqual([])
    expect(await server.end('SIGTERM')).toBe(0)
    await sink.quiet()
    expectNoSurplus(lostBefore, await waiting())

    const missing = [...submitted.entries()].filter(([number, { isAnswered }]) => isAnswered && !sink.taken.has(number))
    expect(missing).toEqual([])
    expect(torn).toEqual([])
    expect(await spooled()).toEqual([])
    const sum = (counts: ReadonlyMap<number, number>): number =>
      [...counts.values()].reduce((total, count) => total + count, 0)
    const answered = submitted.filter(({ isAnswered }) => isAnswered).length
    const duplicates = sum(sink.taken) - sink.taken.size
    expect(duplicates).toBeLessThanOrEqual(unrecorded + sum(sink.lost))
    console.info(
      `kill -9 of a relay on ${runtime}: ${rounds} rounds, ${submitted.length} submitted, ${answered} answered 250, ${sink.taken.size} arrived, ` +
        `none missing, none torn; ${left} waited at a kill; ${sum(sink.lost)} replies lost, ${unrecorded} taken but not recorded, ` +
        `${duplicates} duplicates; spool and queue empty`,
    )
  },
  120_000 + ROUNDS.node * 6_000,
)
