/** How long a transaction takes while the server is half busy: messages begin at fixed times. */
import type { Bench } from '../bench.ts'
import type { Findings, Section } from '../section.ts'
import type { ServerEntry } from '../servers.ts'
import { SHAPES } from '../shapes.ts'
import { orderOf } from '../measure.ts'
import { median, shown } from '../statistics.ts'
import { type Row, table } from '../table.ts'

const SESSIONS = 100
const WARM_UP_MESSAGES = 10_000
const SECONDS = 2
const LOAD = 0.5

interface Latency {
  readonly messagesPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

export const latency: Section = {
  name: 'latency',
  title: 'A transaction from MAIL to the 250, at half of the load that the server can take',
  async run(bench: Bench): Promise<Findings> {
    const servers = bench.servers.filter(
      ({ kind, store }) => store === 'discard' || !['postern', 'naive-fs'].includes(kind),
    )
    const rows: Row[] = []
    for (const server of servers) {
      bench.progress(`latency: ${server.name}`)
      try {
        const { messagesPerSecond, p50Ms, p99Ms } = await latencyOf(bench, server)
        rows.push([server.name, shown(messagesPerSecond), shown(p50Ms), shown(p99Ms)])
      } catch (error) {
        rows.push([server.name, `failed: ${(error as Error).message.split('\n', 1)[0]}`, '', ''])
      }
    }
    const about =
      `Lockstep, 1 KiB, up to ${SESSIONS} sessions. A message is timed from when it was due, so one that finds the server busy ` +
      `counts its wait. The load is half of what the same server took right before.`
    return { markdown: `${about}\n\n${table(['', 'messages/s', 'p50 ms', 'p99 ms'], rows)}` }
  },
}

async function latencyOf(bench: Bench, server: ServerEntry): Promise<Latency> {
  const shape = SHAPES.find(({ name }) => name === 'lockstep')
  if (shape === undefined) throw new Error('there is no shape lockstep')
  const running = await bench.start(server)
  try {
    const order = { ...orderOf(shape, running.port, WARM_UP_MESSAGES), sessions: SESSIONS }
    await bench.perform(running, { ...order, messages: WARM_UP_MESSAGES / 2 })
    const { outcome } = await bench.perform(running, order)
    const messagesPerSecond = (outcome.messages / outcome.wallMs) * 1000 * LOAD
    const messages = Math.ceil(messagesPerSecond * SECONDS)
    const rounds: { p50Ms: number; p99Ms: number }[] = []
    for (let i = 0; i < bench.rounds; i++) {
      const paced = await bench.perform(running, { ...order, kind: 'pace', messages, messagesPerSecond })
      rounds.push({ p50Ms: paced.outcome.p50Ms ?? 0, p99Ms: paced.outcome.p99Ms ?? 0 })
    }
    return {
      messagesPerSecond,
      p50Ms: median(rounds.map(({ p50Ms }) => p50Ms)),
      p99Ms: median(rounds.map(({ p99Ms }) => p99Ms)),
    }
  } finally {
    await running.program.end()
  }
}
