/**
 * Measures how fast a full queue goes to a sink on loopback: `node test/bench/relay/main.ts [MESSAGES] [ROUNDS] [postern|postfix]`.
 * `postern serve` and Debian's Postfix take turns. The sink is in this process. What is printed goes into docs/performance.md.
 */
import { execFileSync } from 'node:child_process'
import { chmod, mkdir } from 'node:fs/promises'
import process from 'node:process'
import { createServer } from '@postern/engine'
import { listen } from '@postern/runtime/node'
import { Scratch } from '../../kit/scratch.ts'
import { CAN_PIN, CORES } from '../programs.ts'
import { median, shown } from '../statistics.ts'
import { table } from '../table.ts'
import { startPostern } from './postern.ts'
import { startPostfix } from './postfix.ts'

const MESSAGES = Number(process.argv[2] ?? 20_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const ONLY = process.argv[4]
const PAUSE_MS = 20
const START = { postern: startPostern, postfix: startPostfix } as const
const MiB = 2 ** 20

let taken = 0
const sink = createServer({
  hostname: 'sink.example.com',
  async data(message) {
    for (;;) if ((await message.read()) === null) break
    taken++
    return undefined
  },
})
const listener = await listen(sink, { host: '127.0.0.1', port: 0 })
if (CAN_PIN) execFileSync('taskset', ['-a', '-p', '-c', String(CORES.load), String(process.pid)])

const figures = new Map<string, { rates: number[]; cpus: number[]; memory: number[] }>()
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, start] of Object.entries(START)) {
    if (ONLY !== undefined && ONLY !== name) continue
    const found = figures.get(name) ?? { rates: [], cpus: [], memory: [] }
    figures.set(name, found)
    const { seconds, cpuSeconds, residentBytes } = await run(start)
    found.rates.push(MESSAGES / seconds)
    found.cpus.push((cpuSeconds / MESSAGES) * 1e6)
    found.memory.push(residentBytes / MiB)
    console.log(`${name}: ${shown(MESSAGES / seconds)}/s, ${shown((cpuSeconds / MESSAGES) * 1e6)} µs`)
  }
}
const rows = [...figures].map(([name, { rates, cpus, memory }]) => [
  name,
  shown(median(rates)),
  shown(median(cpus)),
  shown(median(memory)),
])
console.log(table(['', 'messages/s', 'CPU µs a message', 'RSS MiB'], rows))
process.exit(0)

async function run(
  start: typeof startPostern,
): Promise<{ seconds: number; cpuSeconds: number; residentBytes: number }> {
  await using scratch = await Scratch.make()
  await chmod(scratch.path, 0o755)
  await mkdir(scratch.join('work'))
  await using filled = await start(scratch, listener.address.port, MESSAGES)
  taken = 0
  const before = filled.cpuSeconds()
  await filled.release()
  // The start of a program, or a reload, is not what is measured.
  await until(() => taken > 0)
  const first = performance.now()
  await until(() => taken >= MESSAGES)
  const seconds = (performance.now() - first) / 1000
  const residentBytes = filled.residentBytes()
  await until(() => filled.isDone())
  return { seconds, cpuSeconds: filled.cpuSeconds() - before, residentBytes }
}

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
}
