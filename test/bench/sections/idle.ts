/** The memory of a connection that sent EHLO and then nothing. */
import { readFileSync } from 'node:fs'
import { type Bench, pause } from '../bench.ts'
import type { Findings, Section } from '../section.ts'
import type { RunningServer, ServerEntry } from '../servers.ts'
import { shown } from '../statistics.ts'
import { type Row, table, times, verdict } from '../table.ts'

const CONNECTIONS = 10_000
const QUICK_CONNECTIONS = 2_000
/** Files that a process has open besides its connections. */
const OTHER_FILES = 500
/** Connections before the measurement, for the memory that a server keeps for good after its first ones. */
const BEFORE = 500
/** The time for garbage collection: V8 shrinks its heap when a process has done nothing for some seconds. */
const REST_MS = 15_000
const MAX_OF_SMTP_SERVER = 0.5
const KiB = 1024

export const idle: Section = {
  name: 'idle',
  title: 'Idle connections',
  async run(bench: Bench): Promise<Findings> {
    const connections = Math.min(bench.isQuick ? QUICK_CONNECTIONS : CONNECTIONS, mostConnections())
    const servers = bench.servers.filter(
      ({ kind, store }) => store === 'discard' || !['postern', 'naive-fs'].includes(kind),
    )
    const costs = new Map<string, number | string>()
    for (const server of servers) {
      bench.progress(`idle: ${server.name}`)
      costs.set(server.name, await bytesOfOne(bench, server, connections).catch((error: Error) => error.message))
    }
    const rival = costs.get('smtp-server-node')
    const rows = servers.map(({ name, kind, runtime }): Row => {
      const own = costs.get(name)
      if (typeof own !== 'number') return [name, `failed: ${own?.split('\n', 1)[0]}`, '', '']
      const ratio = typeof rival === 'number' ? own / rival : Number.NaN
      const isJudged = kind === 'postern' && runtime === 'node' && !Number.isNaN(ratio)
      const target = isJudged ? `≤ ${MAX_OF_SMTP_SERVER} × smtp-server: ${verdict(ratio <= MAX_OF_SMTP_SERVER)}` : ''
      return [name, shown(own / KiB), times(ratio), target]
    })
    const about = `RSS with ${connections.toLocaleString('en-US')} connections that have their reply to EHLO, less RSS before them.`
    return { markdown: `${about}\n\n${table(['', 'KiB for each', 'of smtp-server', 'target'], rows)}` }
  },
}

async function bytesOfOne(bench: Bench, server: ServerEntry, connections: number): Promise<number> {
  const running = await bench.start(server)
  try {
    await hold(bench, running, BEFORE)
    await bench.perform(running, { kind: 'release' })
    await pause(REST_MS)
    const before = running.program.usage().residentBytes
    await hold(bench, running, connections)
    await pause(REST_MS)
    const after = running.program.usage().residentBytes
    await bench.perform(running, { kind: 'release' })
    return (after - before) / connections
  } finally {
    await running.program.end()
  }
}

async function hold(bench: Bench, running: RunningServer, connections: number): Promise<void> {
  await bench.perform(running, { kind: 'hold', port: running.port, connections })
}

/** workerd needs two open files for each. */
function mostConnections(): number {
  return Math.floor((maxOpenFiles() - OTHER_FILES) / 2)
}

/** The hard limit: runtimes raise theirs to it. */
function maxOpenFiles(): number {
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  return limit === undefined || limit === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(limit)
}
