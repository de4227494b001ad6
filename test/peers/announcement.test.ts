/** The commands that the server prints at its start. The test runs them unchanged, and each sends a message. */
import { join } from 'node:path'
import { expect } from 'vitest'
import { CURL, SWAKS } from '../kit/abilities.ts'
import { testWith } from '../kit/need.ts'
import { cleanEnvironment, serve } from '../kit/postern.ts'
import { readAll } from './store.ts'
import { Scratch } from '../kit/scratch.ts'
import { mustRun } from '../kit/tool.ts'

testWith([CURL, SWAKS], 'each command that the server prints at its start works', async () => {
  await using scratch = await Scratch.make()
  const store = scratch.join('mail')
  const root = join(import.meta.dirname, '../..')
  await using server = await serve(['--store', `fs:${store}`], { cwd: root })
  const commands = server.stdout.split('\n').filter((line) => /\b(swaks|curl) /.test(line))
  expect(commands).toHaveLength(2)
  for (const command of commands) await mustRun('sh', ['-c', command])
  const kept = await readAll(store)
  expect(kept.map(({ record }) => record.forwardPaths[0]?.address)).toEqual(['you@example.com', 'you@example.com'])
  await server.says(/kept .*\n.*kept /)
  const listCommand = server.stdout.split('\n').find((line) => /\blist\b/.test(line)) ?? ''
  const path = `${join(process.execPath, '..')}:${process.env['PATH']}`
  const listed = await mustRun('sh', ['-c', listCommand], { cwd: root, env: { ...cleanEnvironment(), PATH: path } })
  expect(listed.stdout.toString().match(/<you@example\.com>/g)).toHaveLength(2)
})
