/** The commands that the server prints at its start. The test runs them unchanged, and each sends a message. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'vitest'
import { CURL, SWAKS } from '../kit/abilities.ts'
import { testWith } from '../kit/need.ts'
import { environment } from './postern.ts'
import { readAll } from './store.ts'
import { Scratch } from '../kit/scratch.ts'
import { mustRun } from '../kit/tool.ts'

const MAIN = join(import.meta.dirname, '../../apps/server/main.js')

testWith([CURL, SWAKS], 'each command that the server prints at its start works', async () => {
  await using scratch = await Scratch.make()
  const store = scratch.join('mail')
  const args = [MAIN, 'serve', '--listen', 'smtp://127.0.0.1:0', '--store', `fs:${store}`]
  const server = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment() })
  let said = ''
  server.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  server.stderr.resume()
  try {
    await expect.poll(() => said, { timeout: 20_000 }).toContain('Stop with Ctrl-C')
    const commands = said.split('\n').filter((line) => /\b(swaks|curl) /.test(line))
    expect(commands).toHaveLength(2)
    for (const command of commands) await mustRun('sh', ['-c', command])
    const kept = await readAll(store)
    expect(kept.map(({ record }) => record.forwardPaths[0]?.address)).toEqual(['you@example.com', 'you@example.com'])
    await expect.poll(() => said).toMatch(/kept .*\n.*kept /)
    const listCommand = said.split('\n').find((line) => /\blist\b/.test(line)) ?? ''
    const root = join(import.meta.dirname, '../..')
    const path = `${join(process.execPath, '..')}:${process.env['PATH']}`
    const listed = await mustRun('sh', ['-c', listCommand], { cwd: root, env: { ...environment(), PATH: path } })
    expect(listed.stdout.toString().match(/<you@example\.com>/g)).toHaveLength(2)
  } finally {
    server.kill('SIGTERM')
  }
})
