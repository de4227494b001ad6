/** The contract of Duplex over WebSockets and through a front, run inside each server runtime. */
import { resolve } from 'node:path'
import { contractRows } from '../../../test/contracts/outcome.ts'
import { testProgram } from '../../../packages/runtime/test/program.ts'
import { chosenOn } from './front-kinds.ts'

const program = resolve(import.meta.dirname, 'front-contract-program.ts')

testProgram('websocket', (runtime) => contractRows(chosenOn(runtime)), program)
