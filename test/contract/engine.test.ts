/** The engine's checks, run inside each server runtime. */
import { resolve } from 'node:path'
import { outcomesOf, testSuite } from '../../packages/runtime/test/program.ts'
import { COMMANDS } from '../../packages/runtime/test/commands.ts'
import { engineRows } from '../contracts/wire/engine.ts'

const program = resolve(import.meta.dirname, 'engine-program.ts')
const rows = engineRows()

for (const [runtime, command] of Object.entries(COMMANDS)) {
  testSuite({ suite: 'engine', runtime, rows, run: () => outcomesOf([...command, program], 300_000) })
}
