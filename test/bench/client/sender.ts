/** Sends messages by our client and by nodemailer, in turn, and prints what each cost this process: `sender.ts PORT`. See main.ts. */
import { Buffer } from 'node:buffer'
import process from 'node:process'
import { type Client, createPool } from '@postern/engine/client'
import { createTransport } from 'nodemailer'

export interface Cost {
  readonly load: string
  readonly by: 'ours' | 'nodemailer'
  readonly messagesPerSecond: number
  readonly cpuMicrosPerMessage: number
  readonly bytes: number
}

interface Load {
  readonly name: string
  readonly message: Buffer
  readonly count: number
  readonly connections: number
}

interface Sender {
  send(message: Buffer): Promise<unknown>
  close(): unknown
}

const ROUNDS = 5
const HEADER = 'From: a@x.example\r\nTo: b@y.example\r\nSubject: x\r\n\r\n'
const SMALL = Buffer.from(HEADER + 'Hello world, this is a line of text.\r\n'.repeat(27))
const LARGE = Buffer.from(HEADER + `${'x'.repeat(74)}\r\n`.repeat(700_000))
const LOADS: readonly Load[] = [
  { name: 'small, 1 connection', message: SMALL, count: 2_000, connections: 1 },
  { name: 'small, 5 connections', message: SMALL, count: 5_000, connections: 5 },
  { name: 'large, 1 connection', message: LARGE, count: 3, connections: 1 },
]

async function connectHere(port: number): Promise<Client> {
  const name = 'Deno' in globalThis ? 'deno' : 'Bun' in globalThis ? 'bun' : 'node'
  const { connect } = (await import(`@postern/runtime/${name}`)) as typeof import('@postern/runtime/node')
  return connect(`smtp://127.0.0.1:${port}`, { hostname: 'client.example.com', startTls: 'never' })
}

function ours(port: number, maxConnections: number): Sender {
  const pool = createPool({
    connect: () => connectHere(port),
    maxConnections,
    maxMessagesPerConnection: 1_000_000,
  })
  const envelope = { reversePath: 'a@x.example', forwardPaths: ['b@y.example'] }
  return { send: (message) => pool.send(envelope, message), close: () => pool.close() }
}

function nodemailers(port: number, maxConnections: number): Sender {
  const options = { host: '127.0.0.1', port, pool: true, maxConnections, maxMessages: Infinity, ignoreTLS: true }
  const transport = createTransport(options as { pool: true })
  const envelope = { from: 'a@x.example', to: ['b@y.example'] }
  return { send: (raw) => transport.sendMail({ envelope, raw }), close: () => transport.close() }
}

/** Sends all messages, as many at the same time as there are connections. */
async function run(sender: Sender, { message, count, connections }: Load): Promise<void> {
  let next = 0
  const caller = async (): Promise<void> => {
    while (next++ < count) await sender.send(message)
  }
  await Promise.all(Array.from({ length: connections }, caller))
}

type Measure = Pick<Cost, 'messagesPerSecond' | 'cpuMicrosPerMessage'>

async function measured(sender: Sender, load: Load): Promise<Measure> {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await run(sender, load)
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  return { messagesPerSecond: (load.count / ms) * 1_000, cpuMicrosPerMessage: (user + system) / load.count }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number
}

const port = Number(process.argv[2])
for (const load of LOADS) {
  const senders = { ours: ours(port, load.connections), nodemailer: nodemailers(port, load.connections) }
  const costs: Record<Cost['by'], Measure[]> = { ours: [], nodemailer: [] }
  for (let round = 0; round <= ROUNDS; round++) {
    for (const by of ['ours', 'nodemailer'] as const) {
      const cost = await measured(senders[by], load)
      // The first round compiles.
      if (round > 0) costs[by].push(cost)
    }
  }
  for (const by of ['ours', 'nodemailer'] as const) {
    const cost: Cost = {
      load: load.name,
      by,
      messagesPerSecond: median(costs[by].map(({ messagesPerSecond }) => messagesPerSecond)),
      cpuMicrosPerMessage: median(costs[by].map(({ cpuMicrosPerMessage }) => cpuMicrosPerMessage)),
      bytes: load.message.length,
    }
    console.log(JSON.stringify(cost))
    await senders[by].close()
  }
}
process.exit(0)
