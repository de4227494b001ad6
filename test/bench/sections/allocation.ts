/** Allocated memory for each small message and for each MiB. Garbage collection must clear it away. */
import type { Bench } from '../bench.ts'
import { orderOf } from '../measure.ts'
import type { Findings, Section } from '../section.ts'
import type { RunningServer, ServerEntry } from '../servers.ts'
import type { Allocated } from '../servers/allocated.ts'
import { SHAPES } from '../shapes.ts'
import { shown } from '../statistics.ts'
import { type Row, table } from '../table.ts'

const TIMEOUT_MS = 10_000
const KINDS = ['postern', 'barest', 'smtp-server']
const MEASURED = [
  { shape: 'lockstep', warmUp: 5_000, messages: 5_000, units: 1 },
  { shape: '10MiB', warmUp: 4, messages: 10, units: 10 },
] as const

export const allocation: Section = {
  name: 'allocation',
  title: 'Memory asked for',
  async run(bench: Bench): Promise<Findings> {
    const servers = bench.servers.filter(
      ({ kind, store, runtime }) =>
        KINDS.includes(kind) && (store ?? 'discard') === 'discard' && runtime !== undefined && runtime !== 'workerd',
    )
    const rows: Row[] = []
    for (const server of servers) {
      bench.progress(`allocation: ${server.name}`)
      const cells = await cellsOf(bench, server).catch((error: Error) => [`failed: ${error.message.split('\n', 1)[0]}`])
      rows.push([server.name, ...cells])
    }
    const head = ['', 'KiB a message of 1 KiB, heap', 'buffers', 'KiB a MiB of 10 MiB messages, heap', 'buffers']
    return { markdown: `${ABOUT}\n\n${table(head, rows)}` }
  },
}

const ABOUT =
  'Lockstep, 10 and 4 sessions. Node: the growth of the heap between garbage collections (`v8.GCProfiler`), and of what V8 calls ' +
  "external memory; buffers that come and go between two of them are not seen. Deno: V8's `total_allocated_bytes`, the heap alone. " +
  "Bun: mimalloc's total with the collector off, heap and buffers together."

async function cellsOf(bench: Bench, server: ServerEntry): Promise<string[]> {
  const env = server.runtime === 'bun' ? { BUN_JSC_useGC: '0' } : {}
  const cells: string[] = []
  for (const { shape: name, warmUp, messages, units } of MEASURED) {
    const shape = SHAPES.find((shape) => shape.name === name)
    if (shape === undefined) throw new Error(`there is no shape ${name}`)
    const running = await bench.start(server, { flags: ['--allocation'], env })
    try {
      await bench.perform(running, orderOf(shape, running.port, warmUp))
      const before = await allocatedBy(running)
      await bench.perform(running, orderOf(shape, running.port, messages))
      const after = await allocatedBy(running)
      const each = (from = Number.NaN, to = Number.NaN): string => shown((to - from) / messages / units / 1024)
      cells.push(each(before.heapBytes, after.heapBytes), each(before.bufferBytes, after.bufferBytes))
    } finally {
      await running.program.end()
    }
  }
  return cells
}

function allocatedBy({ program }: RunningServer): Promise<Allocated> {
  program.signal('SIGUSR2')
  return program.line<Allocated>(TIMEOUT_MS)
}
