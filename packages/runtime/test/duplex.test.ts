/** The contract of Duplex, run inside each server runtime. */
import { resolve } from 'node:path'
import { inProcessKinds } from './in-process.ts'
import { contractRows } from '../../../test/contracts/outcome.ts'
import { testProgram } from './program.ts'
import { SOCKET_KINDS } from './sockets.ts'

const program = resolve(import.meta.dirname, 'contract-program.ts')
const rows = contractRows([...inProcessKinds, ...SOCKET_KINDS])

testProgram('duplex', rows, program)
