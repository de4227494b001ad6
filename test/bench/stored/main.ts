/**
 * `node test/bench/stored/main.ts [--messages 50000] [--minutes 2] [--bytes 2048] [--layout files|packed] [--runtime node|deno|bun]`:
 * what the commands that read a store cost, for a store with many messages of a few minutes. Beside them is `cat`, which reads every
 * file of the store.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { COMMANDS } from '../../kit/commands.ts'
import { table } from '../table.ts'
import { fill } from './fill.ts'

const MAIN = resolve(import.meta.dirname, '../../../apps/server/main.js')
const PROGRAMS = { node: [process.execPath], deno: COMMANDS.deno, bun: COMMANDS.bun } as const

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '50000' },
    minutes: { type: 'string', default: '2' },
    bytes: { type: 'string', default: '2048' },
    layout: { type: 'string', multiple: true, default: ['files', 'packed'] },
    runtime: { type: 'string', multiple: true, default: ['node'] },
  },
})

interface Usage {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly mebibytes: number
}

/** Runs a command to its end. It fails if the command does. */
function measure(command: readonly string[]): Usage {
  const marks = '%e %U %S %M'
  const { status, stderr } = spawnSync('/usr/bin/time', ['-f', marks, ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  })
  const lines = stderr.toString().trimEnd().split('\n')
  if (status !== 0) throw new Error(`${command.join(' ')}: exit code ${status}: ${lines.at(-2)}`)
  const [elapsed, user, system, kibibytes] = (lines.at(-1) ?? '').split(' ').map(Number) as [
    number,
    number,
    number,
    number,
  ]
  return { seconds: elapsed, cpuSeconds: user + system, mebibytes: kibibytes / 1024 }
}

const root = mkdtempSync(join(tmpdir(), 'postern-stored-'))
try {
  const rows: string[][] = []
  for (const layout of values.layout) {
    if (layout !== 'files' && layout !== 'packed') throw new Error(`--layout: ${layout} is neither files nor packed`)
    const directory = join(root, layout)
    await fill(directory, {
      layout,
      messages: Number(values.messages),
      minutes: Number(values.minutes),
      messageBytes: Number(values.bytes),
    })
    const add = (name: string, usage: Usage): void => {
      const figures = [usage.seconds.toFixed(2), usage.cpuSeconds.toFixed(2), usage.mebibytes.toFixed(0)]
      process.stderr.write(`${layout} ${name}: ${figures.join(' ')}\n`)
      rows.push([layout, name, ...figures])
    }
    const cat = ['sh', '-c', `find ${directory} -type f -print0 | xargs -0 cat`]
    measure(cat)
    add('cat, once', measure(cat))
    for (const runtime of values.runtime) {
      const program = PROGRAMS[runtime as keyof typeof PROGRAMS]
      const postern = (...args: string[]): Usage => measure([...program, MAIN, ...args, '--store', `fs:${directory}`])
      add(`${runtime}: list`, postern('list'))
      add(`${runtime}: list --limit 50000`, postern('list', '--limit', '50000'))
      add(`${runtime}: list --limit 50000 --json`, postern('list', '--limit', '50000', '--json'))
      add(`${runtime}: export --format mbox`, postern('export', '--format', 'mbox'))
      add(`${runtime}: sweep`, postern('sweep', '--keep-count', values.messages))
    }
    execFileSync('rm', ['-rf', directory])
  }
  process.stdout.write(`${table(['layout', 'command', 's', 'CPU s', 'MiB'], rows as [string, ...string[]][])}\n`)
} finally {
  rmSync(root, { recursive: true, force: true })
}
