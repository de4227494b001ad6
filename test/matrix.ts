/**
 * The matrix: every check of the contract on every runtime, from what the tests of this run wrote down.
 *
 * A cell counts what passed: the kinds of connection for a check of the Duplex, the vectors for a row of the wire, 1 for a
 * check from outside. `–` is a gap, which has its reason in docs/runtimes.md; a blank is what a runtime does not take part in.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Outcome } from '../packages/runtime/test/outcome.ts'

const MATRIX = resolve(import.meta.dirname, '.cache/matrix')
const DOCUMENT = resolve(import.meta.dirname, '../docs/runtimes.md')
const HEADING = '\n## Gaps'

export const RUNTIMES = ['node', 'deno', 'bun', 'workerd', 'wrangler dev'] as const
export const SUITES = ['duplex', 'websocket', 'engine', 'black box'] as const

/** What one suite said of one runtime. */
interface Column {
  readonly suite: (typeof SUITES)[number]
  readonly runtime: (typeof RUNTIMES)[number]
  readonly outcomes: readonly Outcome[]
}

function readColumns(): Column[] {
  const files = readdirSync(MATRIX).toSorted()
  return files.map((file) => JSON.parse(readFileSync(resolve(MATRIX, file), 'utf8')) as Column)
}

/** The rows of a suite: what checks are grouped by. */
function rowOf({ suite }: Column, { subject, check }: Outcome): string {
  return suite === 'engine' ? subject : check
}

function cell(outcomes: readonly Outcome[]): string {
  const count = (result: Outcome['result']): number => outcomes.filter((outcome) => outcome.result === result).length
  if (outcomes.length === 0) return ''
  if (count('failed') > 0) return `✗ ${count('failed')}`
  return [count('passed') > 0 ? `✓ ${count('passed')}` : '', count('skipped') > 0 ? '–' : ''].join(' ').trim()
}

/** The matrix as text, a table for each suite. */
function draw(columns: readonly Column[]): string {
  return SUITES.map((suite) => {
    const ofSuite = columns.filter((column) => column.suite === suite)
    const rows = [...new Set(ofSuite.flatMap((column) => column.outcomes.map((outcome) => rowOf(column, outcome))))]
    const width = Math.max(...rows.map((row) => row.length), suite.length)
    const line = (head: string, cells: readonly string[]): string =>
      `${head.padEnd(width)}  ${cells.map((text) => text.padEnd(12)).join('  ')}`.trimEnd()
    const body = rows.map((row) => {
      const cells = RUNTIMES.map((runtime) => {
        const column = ofSuite.find((candidate) => candidate.runtime === runtime)
        return cell(column?.outcomes.filter((outcome) => rowOf(column, outcome) === row) ?? [])
      })
      return line(row, cells)
    })
    return [line(suite, RUNTIMES), ...body].join('\n')
  }).join('\n\n')
}

/** The rows of the table of gaps: one for each reason. */
function gapRows(columns: readonly Column[]): string[] {
  const skipped = columns
    .toSorted((one, other) => RUNTIMES.indexOf(one.runtime) - RUNTIMES.indexOf(other.runtime))
    .flatMap(({ runtime, outcomes }) =>
      outcomes.filter(({ result }) => result === 'skipped').map((outcome) => ({ runtime, ...outcome })),
    )
  return [...Map.groupBy(skipped, ({ reason = '' }) => reason)].map(([reason, gaps]) => {
    const all = (words: readonly string[], separator: string): string => [...new Set(words)].join(separator)
    const runtimes = all(
      gaps.map(({ runtime }) => runtime),
      ', ',
    )
    const subjects = all(
      gaps.map(({ subject }) => subject),
      ', ',
    )
    return `| ${runtimes} | ${subjects} | ${all(
      gaps.map(({ check }) => check),
      '; ',
    )} | ${reason} |`
  })
}

/** Prints the matrix. @returns what is wrong: a missing column, or a gap that docs/runtimes.md and the run do not agree on. */
export function showMatrix(): string[] {
  const columns = readColumns()
  console.log(draw(columns))
  const written = writtenRows(readFileSync(DOCUMENT, 'utf8'))
  const found = gapRows(columns)
  const missing = RUNTIMES.flatMap((runtime) =>
    SUITES.filter(
      (suite) =>
        !(runtime === 'wrangler dev' && suite !== 'black box') &&
        !columns.some((column) => column.runtime === runtime && column.suite === suite),
    ).map((suite) => `nothing was heard of the ${suite} suite on ${runtime}`),
  )
  const faults = [
    ...found.filter((row) => !written.includes(row)).map((row) => `docs/runtimes.md does not show this gap: ${row}`),
    ...written.filter((row) => !found.includes(row)).map((row) => `docs/runtimes.md shows a gap that is none: ${row}`),
  ]
  if (faults.length > 0) faults.push('`node test/matrix.ts` writes the gaps of the last run into docs/runtimes.md')
  return [...missing, ...faults]
}

function writtenRows(document: string): readonly string[] {
  return document.slice(document.indexOf(HEADING)).match(/^\| (?!---|Runtime).*\|$/gm) ?? []
}

/** Replaces the table of gaps by that of the last run. */
function writeGaps(): void {
  const document = readFileSync(DOCUMENT, 'utf8')
  const head = document.indexOf(HEADING)
  const start = document.indexOf('| --- |', head)
  const end = document.indexOf('\n\n', start)
  const table = ['| --- | --- | --- | --- |', ...gapRows(readColumns())].join('\n')
  writeFileSync(DOCUMENT, document.slice(0, start) + table + document.slice(end))
}

if (import.meta.main) writeGaps()
