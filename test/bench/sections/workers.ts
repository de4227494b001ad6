/** `postern serve --workers 2` beside 1: the same work on as many cores as there are. */
import { availableParallelism } from 'node:os'
import type { Bench } from '../bench.ts'
import { DAEMON_RUNTIMES, type DaemonRuntime, startDaemon } from '../daemon.ts'
import type { SendOrder } from '../load/order.ts'
import type { Findings, Section } from '../section.ts'
import type { RunningServer } from '../servers.ts'
import { median, shown } from '../statistics.ts'
import { type Row, table, times, verdict } from '../table.ts'

const MIN_OVER_ONE = 1.7
/** Two for the workers, one for the load generator. */
const CORES_NEEDED = 3
const COUNTS = [1, 2] as const
const SESSIONS = 100
const MESSAGES = 1_000
const WARM_UP_MESSAGES = 2_000

interface Pace {
  readonly messagesPerSecond: number
  readonly cpuSeconds: number
  readonly loadCpuSeconds: number
}

export const workers: Section = {
  name: 'workers',
  title: '`postern serve --workers 2`, the fs store, 100 sessions, 100 KiB',
  async run(bench: Bench): Promise<Findings> {
    const runtimes = DAEMON_RUNTIMES.filter((runtime) => bench.servers.some((server) => server.runtime === runtime))
    const rows: Row[] = []
    for (const runtime of runtimes) {
      try {
        rows.push(...(await rowsOf(bench, runtime)))
      } catch (error) {
        rows.push([runtime, `failed: ${(error as Error).message.split('\n', 1)[0]}`, '', '', '', ''])
      }
    }
    const cores = availableParallelism()
    const about =
      'Server and load generator on any core, as nobody can be kept apart then.' +
      (cores >= CORES_NEEDED ? '' : ` This machine has ${cores} cores, and the load generator needs one: not judged.`)
    const head = ['', 'messages/s', 'server CPU s for 10,000', 'load CPU s for 10,000', 'over one', 'target']
    return { markdown: `${about}\n\n${table(head, rows)}` }
  },
}

async function rowsOf(bench: Bench, runtime: DaemonRuntime): Promise<Row[]> {
  const running: RunningServer[] = []
  const paces: Pace[][] = []
  try {
    for (const count of COUNTS) {
      bench.progress(`workers: ${runtime}, ${count}`)
      const server = await startDaemon(runtime, bench.directory('workers'), [`--workers=${count}`])
      running.push(server)
      paces.push([])
      await bench.perform(server, orderTo(server, WARM_UP_MESSAGES))
    }
    for (let round = 0; round < bench.rounds; round++) {
      for (const [i, server] of running.entries()) paces[i]?.push(await paceOf(bench, server))
    }
  } finally {
    for (const { program } of running) await program.end()
  }
  const rates = paces.map((rounds) => median(rounds.map(({ messagesPerSecond }) => messagesPerSecond)))
  return paces.map((rounds, i): Row => {
    const over = (rates[i] ?? 0) / (rates[0] ?? Number.NaN)
    const isJudged = i > 0 && availableParallelism() >= CORES_NEEDED
    return [
      `${runtime}, ${COUNTS[i]}`,
      shown(rates[i] ?? 0),
      shown(median(rounds.map(({ cpuSeconds }) => cpuSeconds))),
      shown(median(rounds.map(({ loadCpuSeconds }) => loadCpuSeconds))),
      times(over),
      isJudged ? `≥ ${MIN_OVER_ONE} × one: ${verdict(over >= MIN_OVER_ONE)}` : '',
    ]
  })
}

async function paceOf(bench: Bench, server: RunningServer): Promise<Pace> {
  const { outcome, serverCpuSeconds, loadCpuSeconds } = await bench.perform(server, orderTo(server, MESSAGES))
  const each = 10_000 / outcome.messages
  return {
    messagesPerSecond: (outcome.messages / outcome.wallMs) * 1000,
    cpuSeconds: serverCpuSeconds * each,
    loadCpuSeconds: loadCpuSeconds * each,
  }
}

function orderTo({ port }: RunningServer, messages: number): SendOrder {
  const talk = { mode: 'pipelined', messageBytes: 100 * 1024, recipients: 1, moreFields: 0, secure: false } as const
  return { kind: 'send', port, talk, sessions: SESSIONS, messages, messagesPerConnection: 0 }
}
