/**
 * `node test/bench/parse/main.ts [ROUNDS] [RUNTIME…]`: how fast `parts` of `@postern/mail` reads messages, beside mailparser, mailsplit and
 * postal-mime. Each measurement is a process of its own. In each round, the parsers take turns.
 */
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import process from 'node:process'
import { COMMANDS } from '../../kit/commands.ts'
import { least, median, most, shown } from '../statistics.ts'
import { table } from '../table.ts'

const PROGRAM = resolve(import.meta.dirname, '../../../packages/mail/test/speed-program.ts')
const PARSERS = ['parts', 'mailsplit', 'mailparser', 'postal-mime'] as const
const CASES = [
  { name: 'attachment', title: 'an attachment of 25 MiB, MB/s', isRate: true },
  { name: 'quoted', title: '5 MiB of quoted-printable text, MB/s', isRate: true },
  { name: 'nested', title: '900 parts, three deep, µs', isRate: false },
  { name: 'small', title: 'text and HTML, 700 bytes, µs', isRate: false },
  { name: 'plain', title: 'plain text, 1 kB, µs', isRate: false },
] as const

const [, , rounds = '3', ...runtimes] = process.argv
const chosen = (runtimes.length === 0 ? ['node', 'deno', 'bun'] : runtimes) as (keyof typeof COMMANDS)[]
for (const runtime of chosen) {
  const rows = CASES.map(({ name, title, isRate }) => {
    const parsers = isRate ? PARSERS : [...PARSERS, 'summary']
    const figures = new Map<string, number[]>(parsers.map((parser) => [parser, []]))
    for (let round = 0; round < Number(rounds); round++)
      for (const parser of parsers) figures.get(parser)?.push(measure(runtime, parser, name, isRate))
    return [title, ...parsers.map((parser) => spread(figures.get(parser) ?? [])), ...(isRate ? [''] : [])]
  })
  process.stdout.write(`\n${runtime}\n\n${table(['', ...PARSERS, 'summary'], rows)}\n`)
}

function measure(runtime: keyof typeof COMMANDS, parser: string, name: string, isRate: boolean): number {
  const [program, ...args] = COMMANDS[runtime]
  const { stdout, stderr, status } = spawnSync(program, [...args, PROGRAM, parser, name])
  if (status !== 0) {
    process.stderr.write(`${runtime} ${parser} ${name}: ${/^.*Error.*$/m.exec(stderr.toString())?.[0] ?? ''}\n`)
    return Number.NaN
  }
  const { microseconds, bytes } = JSON.parse(stdout.toString()) as { microseconds: number; bytes: number }
  return isRate ? bytes / microseconds : microseconds
}

function spread(figures: readonly number[]): string {
  return `${shown(median(figures))} (${shown(least(figures))}–${shown(most(figures))})`
}
