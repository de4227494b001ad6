/** The engine's checks, run inside each server runtime. */
import { resolve } from 'node:path'
import { describe } from 'vitest'
import { outcomesOf, testOutcomes } from '../../packages/runtime/test/program.ts'
import { COMMANDS } from '../../packages/runtime/test/commands.ts'

const program = resolve(import.meta.dirname, 'engine-program.ts')

for (const [runtime, command] of Object.entries(COMMANDS)) {
  const outcomes = await outcomesOf([...command, program], 300_000)
  describe(runtime, () => testOutcomes('engine', runtime, outcomes))
}
