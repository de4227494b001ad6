/** `postern serve --workers 2` compared with 1: the same work on all cores. */
import { availableParallelism } from 'node:os'
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from '../bench.ts'
import { DAEMON_RUNTIMES, type DaemonRuntime, startDaemon } from '../daemon.ts'
import type { SendOrder } from '../load/order.ts'
import type { Findings, Section } from '../section.ts'
import type { RunningServer } from '../servers.ts'
import { median, shown } from '../statistics.ts'
import { type Row, table, times, verdict } from '../table.ts'

const MIN_OVER_ONE = 1.7
/**
 * Two for the workers, and one for the load generator. Two in all are enough if the load generator needs no more than
 * this part of a worker's time.
 */
const CORES_NEEDED = 3
const MAX_LOAD_SHARE = 0.17
const COUNTS = [1, 2] as const
const SESSIONS = 100
const MESSAGES = 4_000
const WARM_UP_MESSAGES = 8_000
/** More rounds would fill the disk in memory. */
const MAX_ROUNDS = 10
const MIN_FREE_BYTES = 1024 * 1024 * 1024
/** The directory in which Linux keeps files in memory. */
const MEMORY_DISK = '/dev/shm'

interface Pace {
  readonly messagesPerSecond: number
  readonly cpuSeconds: number
  readonly loadCpuSeconds: number
}

export const workers: Section = {
  name: 'workers',
  title: '`postern serve --workers 2`, the fs store, 100 sessions, pipelined, 1 KiB',
  async run(bench: Bench): Promise<Findings> {
    const directory = isRoomy(MEMORY_DISK)
      ? mkdtempSync(join(MEMORY_DISK, 'postern-bench-'))
      : bench.directory('workers')
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
    const runtimes = DAEMON_RUNTIMES.filter((runtime) => bench.servers.some((server) => server.runtime === runtime))
    const rows: Row[] = []
    for (const runtime of runtimes) {
      try {
        rows.push(...(await rowsOf(bench, runtime, directory)))
      } catch (error) {
        rows.push([runtime, `failed: ${(error as Error).message.split('\n', 1)[0]}`, '', '', '', ''])
      }
    }
    const cores = availableParallelism()
    const about =
      'Mail on a disk of memory where there is one, so that it waits for no disk. Server and load generator on any core.' +
      (cores >= CORES_NEEDED ? '' : ` This machine has ${cores} cores, and the load generator is on them too.`)
    const head = ['', 'messages/s', 'server CPU s for 10,000', 'load CPU s for 10,000', 'over one', 'target']
    return { markdown: `${about}\n\n${table(head, rows)}` }
  },
}

async function rowsOf(bench: Bench, runtime: DaemonRuntime, directory: string): Promise<Row[]> {
  const running: RunningServer[] = []
  const paces: Pace[][] = []
  try {
    for (const count of COUNTS) {
      bench.progress(`workers: ${runtime}, ${count}`)
      const server = await startDaemon(runtime, `fs:${join(directory, `${runtime}-${count}`)}`, [`--workers=${count}`])
      running.push(server)
      paces.push([])
      await bench.perform(server, orderTo(server, WARM_UP_MESSAGES))
    }
    for (let round = 0; round < Math.min(bench.rounds, MAX_ROUNDS); round++) {
      for (const [i, server] of running.entries()) paces[i]?.push(await paceOf(bench, server))
    }
  } finally {
    for (const { program } of running) await program.end()
  }
  const rates = paces.map((rounds) => median(rounds.map(({ messagesPerSecond }) => messagesPerSecond)))
  return paces.map((rounds, i): Row => {
    const over = (rates[i] ?? 0) / (rates[0] ?? Number.NaN)
    const cpu = median(rounds.map(({ cpuSeconds }) => cpuSeconds))
    const load = median(rounds.map(({ loadCpuSeconds }) => loadCpuSeconds))
    const isJudged = i > 0 && (availableParallelism() >= CORES_NEEDED || load < cpu * MAX_LOAD_SHARE)
    return [
      `${runtime}, ${COUNTS[i]}`,
      shown(rates[i] ?? 0),
      shown(cpu),
      shown(load),
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
  const talk = { mode: 'pipelined', messageBytes: 1024, recipients: 1, moreFields: 0, secure: false } as const
  return { kind: 'send', port, talk, sessions: SESSIONS, messages, messagesPerConnection: 0 }
}

function isRoomy(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path)
    return bavail * bsize > MIN_FREE_BYTES
  } catch {
    return false
  }
}
