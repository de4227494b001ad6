/** The time to the first reply, the time to load the engine, and the size of a Worker. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { measureWorker } from '../../check/size.ts'
import type { Bench } from '../bench.ts'
import { DAEMON_RUNTIMES, type DaemonRuntime, startDaemon } from '../daemon.ts'
import { Program } from '../programs.ts'
import type { Findings, Section } from '../section.ts'
import { scriptCommand } from '../servers.ts'
import { least, median, most, shown } from '../statistics.ts'
import { type Row, table, verdict } from '../table.ts'

const TIMES = 11
const TIMEOUT_MS = 10_000
const MAX_START_MS: Readonly<Partial<Record<DaemonRuntime, number>>> = { node: 250, bun: 120 }
const MAX_IMPORT_MS = 20
const MAX_WORKER_KB = 150
const ROOT = resolve(import.meta.dirname, '../../..')

export const startup: Section = {
  name: 'start-up',
  title: 'Start-up',
  async run(bench: Bench): Promise<Findings> {
    const runtimes = DAEMON_RUNTIMES.filter((runtime) => bench.servers.some((server) => server.runtime === runtime))
    const rows: Row[] = []
    for (const runtime of runtimes) {
      const starts = await repeated(bench, `start-up: ${runtime}`, () => startMs(bench, runtime))
      rows.push(row(`\`postern serve\` to the reply to EHLO, ${runtime}, ms`, starts, MAX_START_MS[runtime]))
    }
    const bundle = await buildEngine(bench.directory('engine'))
    for (const runtime of runtimes) {
      const imports = await repeated(bench, `import: ${runtime}`, () => importMs(runtime, bundle))
      rows.push(row(`import of the engine, built to one file, ${runtime}, ms`, imports, MAX_IMPORT_MS))
      const sources = await repeated(bench, `import of sources: ${runtime}`, () => importMs(runtime, '@postern/engine'))
      rows.push(row(`import of the engine's sources, nothing kept, ${runtime}, ms`, sources, undefined))
    }
    const { gzipBytes } = await measureWorker(ROOT)
    rows.push(row('the Worker, bundled and gzipped, kB', [gzipBytes / 1000], MAX_WORKER_KB))
    const about = `Middle of ${TIMES} fresh processes, one more before them, so that what one compiled the next may find. On any core.`
    return { markdown: `${about}\n\n${table(['', 'median', 'least – most', 'target'], rows)}` }
  },
}

function row(what: string, figures: readonly number[], max: number | undefined): Row {
  const own = median(figures)
  const target = max === undefined ? '' : `< ${max}: ${verdict(own < max)}`
  const spread = figures.length > 1 ? `${shown(least(figures))} – ${shown(most(figures))}` : ''
  return [what, shown(own), spread, target]
}

async function repeated(bench: Bench, what: string, act: () => Promise<number>): Promise<number[]> {
  await act()
  const figures: number[] = []
  for (let i = 0; i < TIMES; i++) {
    bench.progress(`${what}, ${i + 1} of ${TIMES}`)
    figures.push(await act())
  }
  return figures
}

async function startMs(bench: Bench, runtime: DaemonRuntime): Promise<number> {
  const store = `fs:${bench.directory('start-up')}`
  const started = performance.now()
  const { port, program } = await startDaemon(runtime, store)
  try {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'data')
    socket.write('EHLO client.example.com\r\n')
    await once(socket, 'data')
    const milliseconds = performance.now() - started
    socket.destroy()
    return milliseconds
  } finally {
    // At this signal, it writes its compiled code.
    await program.end('SIGTERM')
  }
}

/**
 * Builds the engine as it is published, but in one file.
 * @returns its path
 */
async function buildEngine(directory: string): Promise<string> {
  const outfile = join(directory, 'engine.mjs')
  const entryPoints = [resolve(ROOT, 'packages/engine/src/index.ts')]
  await build({ entryPoints, outfile, bundle: true, format: 'esm', platform: 'neutral', target: 'es2024' })
  return outfile
}

async function importMs(runtime: DaemonRuntime, what: string): Promise<number> {
  const program = new Program([...scriptCommand(runtime, 'startup/import.mjs'), what], { core: undefined })
  try {
    return (await program.line<{ milliseconds: number }>(TIMEOUT_MS)).milliseconds
  } finally {
    await program.end()
  }
}
