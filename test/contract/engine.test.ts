/** The engine's checks, run inside each server runtime. */
import { resolve } from 'node:path'
import { testProgram } from '../../packages/runtime/test/program.ts'
import { engineRows } from '../contracts/wire/engine.ts'

const program = resolve(import.meta.dirname, 'engine-program.ts')
const rows = engineRows()

testProgram('engine', rows, program)
