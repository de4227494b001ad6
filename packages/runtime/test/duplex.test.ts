/** The contract of Duplex, run inside each server runtime. */
import { resolve } from 'node:path'
import { COMMANDS } from './commands.ts'
import { inProcessKinds } from './in-process.ts'
import { contractRows } from '../../../test/contracts/outcome.ts'
import { outcomesOf, testSuite } from './program.ts'
import { SOCKET_KINDS } from './sockets.ts'

const program = resolve(import.meta.dirname, 'contract-program.ts')
const rows = contractRows([...inProcessKinds, ...SOCKET_KINDS])

for (const [runtime, command] of Object.entries(COMMANDS)) {
  testSuite({ suite: 'duplex', runtime, rows, run: () => outcomesOf([...command, program], 300_000) })
}
