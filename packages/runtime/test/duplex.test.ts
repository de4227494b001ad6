/** The contract of Duplex, run inside each server runtime. */
import { resolve } from 'node:path'
import { describe } from 'vitest'
import { COMMANDS } from './commands.ts'
import { outcomesOf, testOutcomes } from './program.ts'

const program = resolve(import.meta.dirname, 'contract-program.ts')

for (const [runtime, command] of Object.entries(COMMANDS)) {
  const outcomes = await outcomesOf([...command, program], 300_000)
  describe(runtime, () => testOutcomes('duplex', runtime, outcomes))
}
