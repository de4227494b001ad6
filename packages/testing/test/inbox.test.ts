/** The checks of an inbox, inside Node, Deno and Bun. */
import { resolve } from 'node:path'
import { test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { mustRun } from '../../../test/kit/tool.ts'
import { testProgram } from '../../runtime/test/program.ts'
import { CHECKS } from './checks.ts'

const rows = CHECKS.map(({ name: check }) => ({ subject: 'inbox', check }))
testProgram('testing', rows, resolve(import.meta.dirname, 'program.ts'))

test.each(Object.entries(COMMANDS))('nothing keeps %s alive after the inbox is closed', async (_runtime, command) => {
  const [program, ...args] = command
  await mustRun(program, [...args, resolve(import.meta.dirname, 'ending.ts')])
})
