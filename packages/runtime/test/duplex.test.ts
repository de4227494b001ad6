/** The contract of Duplex, run inside each server runtime. */
import { resolve } from 'node:path'
import { chosenKinds } from './chosen-kinds.ts'
import { inProcessKinds } from './in-process.ts'
import { contractRows } from '../../../test/contracts/outcome.ts'
import { testProgram } from './program.ts'
import { SOCKET_KINDS } from './sockets.ts'

const program = resolve(import.meta.dirname, 'contract-program.ts')

testProgram(
  'duplex',
  (runtime) => contractRows([...chosenKinds(runtime, inProcessKinds, 1, 2), ...chosenKinds(runtime, SOCKET_KINDS, 2)]),
  program,
)
