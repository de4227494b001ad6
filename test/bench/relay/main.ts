/**
 * Measures how fast a full queue goes to a sink on loopback: `node test/bench/relay/main.ts [MESSAGES] [ROUNDS] [postern|postfix]`.
 * `postern serve` and Debian's Postfix take turns. The sink is in this process. What is printed goes into docs/performance.md.
 */
import { chmod, mkdir } from 'node:fs/promises'
import { loadavg } from 'node:os'
import process from 'node:process'
import { median, shown } from '../statistics.ts'
import { table } from '../table.ts'
import { endAfter, makeScratch } from './ending.ts'
import { startPostern } from './postern.ts'
import { startPostfix } from './postfix.ts'
import { startSink } from './sink.ts'

const MESSAGES = Number(process.argv[2] ?? 20_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const ONLY = process.argv[4]
const PAUSE_MS = 20
const START = { postern: startPostern, postfix: startPostfix } as const
const MiB = 2 ** 20
/** A server that sends fewer messages a second is not measured to its end. */
const LEAST_PER_SECOND = 50
const START_MS = 60_000

interface Measured {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly residentBytes: number
}

const servers = Object.entries(START).filter(([name]) => ONLY === undefined || ONLY === name)
// Filling the queue takes about as long as emptying it.
endAfter(ROUNDS * servers.length * (START_MS + (2 * 1000 * MESSAGES) / LEAST_PER_SECOND))
const sink = await startSink()
const figures = new Map<string, Measured[]>(servers.map(([name]) => [name, []]))
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, start] of servers) {
    const measured = await run(start)
    figures.get(name)?.push(measured)
    console.log(`${name}: ${shown(rateOf(measured))}/s, ${shown(cpuOf(measured))} µs, load ${shown(loadavg()[0] ?? 0)}`)
  }
}
const rows = [...figures].map(([name, all]) => [
  name,
  shown(median(all.map(rateOf))),
  shown(median(all.map(cpuOf))),
  shown(median(all.map(({ residentBytes }) => residentBytes / MiB))),
])
console.log(table(['', 'messages/s', 'CPU µs a message', 'RSS MiB'], rows))
process.exit(0)

function rateOf({ seconds }: Measured): number {
  return MESSAGES / seconds
}

function cpuOf({ cpuSeconds }: Measured): number {
  return (cpuSeconds / MESSAGES) * 1e6
}

async function run(start: typeof startPostern): Promise<Measured> {
  await using scratch = await makeScratch()
  await chmod(scratch.path, 0o755)
  await mkdir(scratch.join('work'))
  await using filled = await start(scratch, sink.port, MESSAGES)
  sink.taken = 0
  const before = filled.cpuSeconds()
  await filled.release()
  // The start of a program, or a reload, is not what is measured.
  await until(() => sink.taken > 0)
  const first = performance.now()
  await until(() => sink.taken >= MESSAGES)
  const seconds = (performance.now() - first) / 1000
  const residentBytes = filled.residentBytes()
  await until(() => filled.isDone())
  return { seconds, cpuSeconds: filled.cpuSeconds() - before, residentBytes }
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
}
