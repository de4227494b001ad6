/** The checks of an inbox, inside Node, Deno and Bun. */
import { resolve } from 'node:path'
import { test } from 'vitest'
import { COMMANDS } from '../../../test/kit/commands.ts'
import { sample } from '../../../test/kit/sample.ts'
import { mustRun } from '../../../test/kit/tool.ts'
import { testProgram } from '../../runtime/test/program.ts'
import { CHECKS } from './checks.ts'

const NAMES = ['node', ...sample(['deno', 'bun'] as const, 1)] as const

const rows = CHECKS.map(({ name: check }) => ({ subject: 'inbox', check }))
testProgram('testing', rows, resolve(import.meta.dirname, 'program.ts'), NAMES)

test.each(NAMES)('nothing keeps %s alive after the inbox is closed', async (runtime) => {
  const [program, ...args] = COMMANDS[runtime]
  await mustRun(program, [...args, resolve(import.meta.dirname, 'ending.ts')])
})
