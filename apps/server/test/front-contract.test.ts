/** The contract of Duplex over WebSockets and through a front, run inside each server runtime. */
import { resolve } from 'node:path'
import { describe } from 'vitest'
import { outcomesOf, testOutcomes } from '../../../packages/runtime/test/program.ts'
import { COMMANDS } from '../../../packages/runtime/test/commands.ts'

const program = resolve(import.meta.dirname, 'front-contract-program.ts')

for (const [runtime, command] of Object.entries(COMMANDS)) {
  const outcomes = await outcomesOf([...command, program], 300_000)
  describe(runtime, () => testOutcomes('websocket', runtime, outcomes))
}
