/** The contract of stores, inside each runtime that is not Node. */
import { resolve } from 'node:path'
import { describe } from 'vitest'
import { COMMANDS } from '../../runtime/test/commands.ts'
import type { Outcome } from '../../runtime/test/outcome.ts'
import { outcomesOf, testOutcomes } from '../../runtime/test/program.ts'
import { bundle } from '../../runtime/test/workerd/serving.ts'
import { BACKENDS, PARTS, type Runtime } from './contract/backends.ts'
import { withBuckets } from './contract/buckets.ts'
import type { Part } from './contract/outcomes.ts'
import { type Place, placeIn } from './contract/s3.ts'
import { startR2 } from './servers/r2-s3.ts'

const PATIENCE_MS = 300_000

const program = resolve(import.meta.dirname, 'contract/program.ts')
const worker = bundle(resolve(import.meta.dirname, 'contract/worker.ts'))

async function outcomesInWorkerd(part: Part, places: readonly Place[]): Promise<Outcome[]> {
  const miniflare = await withBuckets(await worker)
  try {
    const body = JSON.stringify({ part, places })
    const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body })
    return (await answer.json()) as Outcome[]
  } finally {
    await miniflare.dispose()
  }
}

async function outcomesIn(runtime: Runtime, part: Part): Promise<Outcome[]> {
  const places: Place[] = []
  for (const [backend, server] of servers) {
    if (BACKENDS[backend]?.[part].includes(runtime) === true) places.push(await placeIn(server, backend))
  }
  if (runtime === 'workerd') return outcomesInWorkerd(part, places)
  return outcomesOf([...COMMANDS[runtime], program, part, JSON.stringify(places)], PATIENCE_MS)
}

await using r2 = await startR2()
const servers = new Map([['s3 on R2', r2]])

for (const part of PARTS) {
  const runtimes = ['deno', 'bun', 'workerd'] as const
  const all = await Promise.all(runtimes.map((runtime) => outcomesIn(runtime, part)))
  for (const [index, runtime] of runtimes.entries()) {
    describe(runtime, () => testOutcomes(part, runtime, all[index] ?? []))
  }
}
