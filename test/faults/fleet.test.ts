/**
 * Two servers send on from one queue in NATS, with the messages in a bucket. NATS is killed while clients submit, and then one server is. Each
 * message with 250 arrives. One arrives twice only if the killed server had handed it over, and its result was not recorded.
 */
import { Buffer } from 'node:buffer'
import { openNatsQueue } from '@postern/relay/nats'
import { expect } from 'vitest'
import { startR2 } from '../../packages/storage/test/servers/r2-s3.ts'
import { PASSWORD, PASSWORD_HASH, USER } from '../contracts/wire/user.ts'
import { sendByData } from '../corpus/send.ts'
import { NATS } from '../kit/abilities.ts'
import { SocketClient } from '../kit/client/socket-client.ts'
import { COMMANDS } from '../kit/commands.ts'
import { NatsServer } from '../kit/nats-server.ts'
import { testWith } from '../kit/need.ts'
import { type MailServer, serveMail } from '../kit/postern.ts'
import { sample } from '../kit/sample.ts'
import { Scratch } from '../kit/scratch.ts'
import { eventually } from '../kit/waiting.ts'
import { Sink } from './sink.ts'

const SESSIONS = 3
/** How many deliveries a server makes at the same time. */
const AT_ONCE = 5
const PLAIN = Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')
const TIMEOUT_MS = 240_000

/** Clients of one server, which submit until they are stopped or the server ends. */
class Clients {
  readonly answered: Set<number>
  readonly refusals: string[] = []
  readonly #next: () => number
  #isStopped = false
  readonly done: Promise<unknown>

  constructor(server: MailServer, answered: Set<number>, next: () => number) {
    this.answered = answered
    this.#next = next
    this.done = Promise.all(Array.from({ length: SESSIONS }, () => this.#submit(server)))
  }

  stop(): Promise<unknown> {
    this.#isStopped = true
    return this.done
  }

  async #submit(server: MailServer): Promise<void> {
    try {
      using client = await SocketClient.ready(server.port)
      await client.command(`AUTH PLAIN ${PLAIN}`, 235)
      while (!this.#isStopped) {
        const number = this.#next()
        const bytes = Buffer.from(`X-Number: ${number}\r\n\r\nhello\r\n`)
        const reply = await sendByData(client, { from: USER, to: [`${number}@far.example`], bytes })
        if (reply.code === 250) this.answered.add(number)
        else this.refusals.push(reply.text)
      }
    } catch {
      // The server was killed.
    }
  }
}

const [other] = sample(['deno', 'bun'] as const, 1)

testWith(
  [NATS],
  `servers on Node and ${other} share a queue and its messages, and lose nothing when NATS or one of them is killed`,
  async () => {
    await using scratch = await Scratch.make()
    await using nats = await NatsServer.start()
    await using bucket = await startR2()
    await using sink = new Sink(() => {})
    const port = await sink.listen()
    const { endpoint, region, credentials } = bucket
    const spool = `s3://${await bucket.bucket()}/spool?endpoint=${endpoint}&region=${region}&addressing=path`
    const flags = [
      `--relay=smtp://127.0.0.1:${port}`,
      `--queue=${nats.url}?stream=fleet&lease=20s`,
      `--spool=${spool}`,
      `--relay-max-deliveries=${AT_ONCE}`,
      `--users=${USER}:${PASSWORD_HASH}`,
      '--domains=near.example',
      '--auth-without-tls',
      '--relay-first-retry-ms=1s',
    ]
    const env = { AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey }
    await using one = await serveMail({ store: scratch.join('one'), flags, env })
    await using two = await serveMail({
      store: scratch.join('two'),
      flags,
      env,
      command: COMMANDS[other ?? 'bun'],
    })
    const answered = new Set<number>()
    let made = 0
    const next = (): number => made++
    const [clients, others] = [new Clients(one, answered, next), new Clients(two, answered, next)]
    const more = async (what: string): Promise<void> => {
      const before = sink.taken.size
      await eventually(() => sink.taken.size > before + 30, what, TIMEOUT_MS)
    }
    const duplicates = (): number[] => [...sink.taken].flatMap(([number, count]) => (count > 1 ? [number] : []))

    await more('messages arrive')
    await nats.end('SIGKILL')
    await eventually(() => clients.refusals.length > 0 && others.refusals.length > 0, 'refusals', TIMEOUT_MS)
    await nats.start()
    await more('messages arrive again')
    expect(duplicates()).toEqual([])

    expect(await one.end('SIGKILL')).toBe('SIGKILL')
    await clients.done
    await more('messages arrive by the other server')
    await others.stop()
    await eventually(() => [...answered].every((number) => sink.taken.has(number)), 'all arrive', TIMEOUT_MS)
    // A server removes at its start what a killed one has finished.
    await using again = await serveMail({ store: scratch.join('one'), flags, env })
    await using queue = await openNatsQueue({ servers: [nats.url], stream: 'fleet' })
    await eventually(async () => (await queue.stats()).entries === 0, 'the queue is empty', TIMEOUT_MS)
    expect(duplicates().length).toBeLessThanOrEqual(AT_ONCE)
    for (const refusal of [...clients.refusals, ...others.refusals]) expect(refusal).toMatch(/^451 4\.3\.0 /)
    expect(await again.end('SIGTERM')).toBe(0)
    expect(await two.end('SIGTERM')).toBe(0)
    expect(two.stderr).toContain('"message":"the queue is lost: mail to be sent on gets 451 until it is back"')
    expect(two.stderr).toContain('"message":"the queue is back: mail to be sent on is accepted again"')
    console.info(
      `a fleet: ${made} submitted, ${answered.size} answered 250, ${sink.taken.size} arrived, ` +
        `${clients.refusals.length + others.refusals.length} refused, ${duplicates().length} duplicates`,
    )
  },
  2 * TIMEOUT_MS,
)
