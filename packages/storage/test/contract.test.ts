/** The contract of stores, inside each runtime that is not Node. */
import { resolve } from 'node:path'
import { describe } from 'vitest'
import { COMMANDS } from '../../runtime/test/commands.ts'
import type { Outcome } from '../../runtime/test/outcome.ts'
import { outcomesOf, testOutcomes } from '../../runtime/test/program.ts'
import { bundle } from '../../runtime/test/workerd/serving.ts'
import { withBuckets } from './contract/buckets.ts'
import { CHECKS, type Part } from './contract/outcomes.ts'

const PARTS = Object.keys(CHECKS) as Part[]
const PATIENCE_MS = 300_000

const program = resolve(import.meta.dirname, 'contract/program.ts')

async function outcomesInWorkerd(part: Part): Promise<Outcome[]> {
  const miniflare = await withBuckets(await bundle(resolve(import.meta.dirname, 'contract/worker.ts')))
  try {
    const answer = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body: JSON.stringify({ part }) })
    return (await answer.json()) as Outcome[]
  } finally {
    await miniflare.dispose()
  }
}

for (const part of PARTS) {
  for (const runtime of ['deno', 'bun'] as const) {
    const outcomes = await outcomesOf([...COMMANDS[runtime], program, part], PATIENCE_MS)
    describe(runtime, () => testOutcomes(part, runtime, outcomes))
  }
  const outcomes = await outcomesInWorkerd(part)
  describe('workerd', () => testOutcomes(part, 'workerd', outcomes))
}
