/** Our client beside nodemailer's: what a message costs the process that sends it. The sink drops messages. */
import { type Bench, pause } from '../bench.ts'
import { CORES, cpuBetween, Program } from '../programs.ts'
import type { Findings, Section } from '../section.ts'
import { delayed } from '../senders/delay.ts'
import type { SenderOrder, SenderOutcome } from '../senders/order.ts'
import { type RunningServer, scriptCommand, SERVERS, type ServerEntry } from '../servers.ts'
import { median, shown } from '../statistics.ts'
import { type Row, table } from '../table.ts'

const MiB = 1024 * 1024
const ORDER_TIMEOUT_MS = 120_000
const SETTLE_MS = 30
const DELAY_MS = 20
const RUNTIMES = ['node', 'bun', 'deno'] as const
const CLIENTS = ['postern', 'nodemailer'] as const

interface Case {
  readonly title: string
  readonly order: Omit<SenderOrder, 'port'>
  readonly warmUpRounds: number
  readonly isDelayed?: true
  /** Default: Postern, which offers PIPELINING and CHUNKING. */
  readonly sink?: string
  /** The cells of one sender. */
  cells(rounds: readonly Round[]): Row
  readonly head: Row
}

interface Round {
  readonly messages: number
  readonly messageBytes: number
  readonly wallSeconds: number
  readonly cpuSeconds: number
}

interface Sender {
  readonly name: string
  readonly program: Program
  readonly rounds: Round[]
  error?: string
}

const SMALL = { messageBytes: 1024, isStream: false, atOnce: 1 }
const KEPT = { ...SMALL, isConnectionEach: false, messages: 2_000 }
const LARGE = { messageBytes: 25 * MiB, isConnectionEach: false, messages: 4, atOnce: 1 }
const MESSAGES = { head: ['messages/s', 'CPU µs a message'], cells: messageCells, warmUpRounds: 3 }
const RATE = { head: ['MB/s', 'MB for a CPU s'], cells: rateCells, warmUpRounds: 1 }

const CASES: readonly Case[] = [
  { title: '1 KiB, one connection', order: KEPT, ...MESSAGES },
  { title: '1 KiB, five connections', order: { ...KEPT, atOnce: 5 }, ...MESSAGES },
  { title: '1 KiB, one connection, PIPELINING and DATA', order: KEPT, sink: 'smtp-server-node', ...MESSAGES },
  { title: '1 KiB, a connection each', order: { ...SMALL, isConnectionEach: true, messages: 500 }, ...MESSAGES },
  { title: '25 MiB, as bytes', order: { ...LARGE, isStream: false }, ...RATE },
  { title: '25 MiB, as a stream', order: { ...LARGE, isStream: true }, ...RATE },
  {
    title: `1 KiB, one connection, replies ${DELAY_MS} ms late`,
    order: { ...SMALL, isConnectionEach: false, messages: 10 },
    warmUpRounds: 1,
    isDelayed: true,
    head: ['ms a message', 'round trips'],
    cells: delayCells,
  },
]

export const senders: Section = {
  name: 'senders',
  title: 'Our client and nodemailer',
  async run(bench: Bench): Promise<Findings> {
    const parts: string[] = []
    for (const one of CASES) {
      const sink = SERVERS.find(({ name }) => name === (one.sink ?? 'postern-node-discard'))
      const running = await bench.start(sink as ServerEntry)
      try {
        parts.push(`${one.title}:\n\n${await measured(bench, one, running)}`)
      } finally {
        await running.program.end()
      }
    }
    return { markdown: parts.join('\n\n') }
  },
}

async function measured(bench: Bench, one: Case, { port: sinkPort }: RunningServer): Promise<string> {
  await using delay = one.isDelayed === true ? await delayed(sinkPort, DELAY_MS) : undefined
  const port = delay?.port ?? sinkPort
  const all = RUNTIMES.flatMap((runtime) =>
    CLIENTS.map((client): Sender => {
      const command = [...scriptCommand(runtime, 'senders/main.ts'), client]
      return { name: `${client}-${runtime}`, program: new Program(command, { core: CORES.load }), rounds: [] }
    }),
  )
  try {
    for (let round = -one.warmUpRounds; round < bench.rounds; round++) {
      for (const sender of all) {
        if (sender.error !== undefined) continue
        bench.progress(`${one.title}: ${sender.name}, round ${round + 1}`)
        try {
          const result = await perform(sender.program, { ...one.order, port })
          if (round >= 0) sender.rounds.push(result)
        } catch (error) {
          sender.error = (error as Error).message.split('\n', 1)[0] ?? ''
        }
      }
    }
  } finally {
    for (const { program } of all) await program.end()
  }
  const rows = all.map(({ name, rounds, error }): Row =>
    error === undefined ? [name, ...one.cells(rounds)] : [name, `failed: ${error}`, ''],
  )
  return table(['', ...one.head], rows)
}

/** @throws if the sender says that a message failed */
async function perform(program: Program, order: SenderOrder): Promise<Round> {
  const before = program.usage()
  program.write(order)
  const { wallMs, error } = await program.line<SenderOutcome>(ORDER_TIMEOUT_MS)
  if (error !== undefined) throw new Error(error)
  await pause(SETTLE_MS)
  const { messages, messageBytes } = order
  return { messages, messageBytes, wallSeconds: wallMs / 1000, cpuSeconds: cpuBetween(before, program.usage()) }
}

function messageCells(rounds: readonly Round[]): Row {
  return [
    shown(median(rounds.map(({ messages, wallSeconds }) => messages / wallSeconds))),
    shown(median(rounds.map(({ messages, cpuSeconds }) => (cpuSeconds / messages) * 1e6))),
  ]
}

function rateCells(rounds: readonly Round[]): Row {
  const megabytes = ({ messages, messageBytes }: Round): number => (messages * messageBytes) / 1e6
  return [
    shown(median(rounds.map((round) => megabytes(round) / round.wallSeconds))),
    shown(median(rounds.map((round) => megabytes(round) / round.cpuSeconds))),
  ]
}

function delayCells(rounds: readonly Round[]): Row {
  const ms = median(rounds.map(({ messages, wallSeconds }) => (wallSeconds * 1000) / messages))
  return [shown(ms), String(Math.floor(ms / DELAY_MS))]
}
