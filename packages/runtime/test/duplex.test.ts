/** The contract of Duplex, run inside each server runtime. */
import { resolve } from 'node:path'
import { describe } from 'vitest'
import { outcomesOf, testOutcomes } from './program.ts'

const program = resolve(import.meta.dirname, 'contract-program.ts')
const RUNTIMES: Readonly<Record<string, readonly [string, ...string[]]>> = {
  node: ['node'],
  deno: ['deno', 'run', '--allow-all'],
  bun: ['bun', 'run'],
}

for (const [runtime, command] of Object.entries(RUNTIMES)) {
  const outcomes = await outcomesOf([...command, program], 120_000)
  describe(runtime, () => testOutcomes('duplex', runtime, outcomes))
}
