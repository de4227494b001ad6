/** The checks of an inbox, inside Node, Deno and Bun. */
import { resolve } from 'node:path'
import { testProgram } from '../../runtime/test/program.ts'
import { CHECKS } from './checks.ts'

const rows = CHECKS.map(({ name: check }) => ({ subject: 'inbox', check }))
testProgram('testing', rows, resolve(import.meta.dirname, 'program.ts'))
