/**
 * The matrix: every check of the contracts on every runtime and every backend of storage, from what the tests of this run
 * wrote down.
 *
 * A cell counts what passed: the kinds of connection for a check of the Duplex, the vectors for a row of the wire, 1 for a
 * check from outside, the runtimes for a check of a backend. `–` is a gap, which has its reason in docs/runtimes.md; a blank is
 * what a runtime does not take part in, or what this run did not sample.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Outcome } from './contracts/outcome.ts'
import { BACKENDS, PARTS, PEERS } from '../packages/storage/test/contract/backends.ts'

const MATRIX = resolve(import.meta.dirname, '.cache/matrix')
const DOCUMENT = resolve(import.meta.dirname, '../docs/runtimes.md')
const HEADING = '\n## Gaps'

export const RUNTIMES = ['node', 'deno', 'bun', 'workerd', 'wrangler dev'] as const
export const SUITES = ['duplex', 'websocket', 'engine', 'client', 'black box', 'dns', 'queue', 'mime'] as const

/** What one suite said of one runtime. */
interface Column {
  readonly suite: (typeof SUITES)[number] | (typeof PARTS)[number]
  readonly runtime: (typeof RUNTIMES)[number]
  readonly outcomes: readonly Outcome[]
}

function readColumns(): Column[] {
  const files = readdirSync(MATRIX).toSorted()
  return files.map((file) => JSON.parse(readFileSync(resolve(MATRIX, file), 'utf8')) as Column)
}

function cell(outcomes: readonly Outcome[]): string {
  const count = (result: Outcome['result']): number => outcomes.filter((outcome) => outcome.result === result).length
  if (outcomes.length === 0) return ''
  if (count('failed') > 0) return `✗ ${count('failed')}`
  return [count('passed') > 0 ? `✓ ${count('passed')}` : '', count('skipped') > 0 ? '–' : ''].join(' ').trim()
}

/** What is counted in one cell. */
interface Mark {
  readonly row: string
  readonly column: string
  readonly outcome: Outcome
}

/** A table as text: a line for each row that was marked. */
function draw(title: string, columns: readonly string[], marks: readonly Mark[]): string {
  const rows = [...Map.groupBy(marks, ({ row }) => row)]
  const width = Math.max(...rows.map(([row]) => row.length), title.length)
  const line = (head: string, cells: readonly string[]): string => {
    const padded = cells.map((text, index) => text.padEnd(Math.max(12, columns[index]?.length ?? 0)))
    return `${head.padEnd(width)}  ${padded.join('  ')}`.trimEnd()
  }
  const body = rows.map(([row, ofRow]) => {
    const cells = columns.map((column) =>
      cell(ofRow.filter((mark) => mark.column === column).map(({ outcome }) => outcome)),
    )
    return line(row, cells)
  })
  return [line(title, columns), ...body].join('\n')
}

/** A table for each suite, by runtime, and one for each part of the contract of stores, by backend. */
function drawAll(columns: readonly Column[]): string {
  const marksOf = (suite: Column['suite'], mark: (column: Column, outcome: Outcome) => Mark): Mark[] =>
    columns
      .filter((column) => column.suite === suite)
      .flatMap((column) => column.outcomes.map((outcome) => mark(column, outcome)))
  const suites = SUITES.map((suite) => {
    const marks = marksOf(suite, ({ runtime }, outcome) => {
      return { row: suite === 'engine' ? outcome.subject : outcome.check, column: runtime, outcome }
    })
    return draw(suite, RUNTIMES, marks)
  })
  const parts = PARTS.map((part) => {
    const marks = marksOf(part, (_, outcome) => ({ row: outcome.check, column: outcome.subject, outcome }))
    return draw(part, Object.keys(BACKENDS), marks)
  })
  return [...suites, ...parts].join('\n\n')
}

/** Returns whether this machine lacks that backend, and need not have it. */
function isAbsent(backend: string, columns: readonly Column[]): boolean {
  if (!PEERS.includes(backend) || process.env['REQUIRE_PEERS'] === '1') return false
  return !columns.some(({ outcomes }) => outcomes.some(({ subject }) => subject === backend))
}

function isExpected(suite: (typeof SUITES)[number], runtime: (typeof RUNTIMES)[number]): boolean {
  return runtime !== 'wrangler dev' || suite === 'black box'
}

/** What the run should have been about, and was not. */
function findMissing(columns: readonly Column[]): string[] {
  const has = (suite: string, runtime: string, subject?: string): boolean =>
    columns.some(
      (column) =>
        column.suite === suite &&
        column.runtime === runtime &&
        (subject === undefined || column.outcomes.some((outcome) => outcome.subject === subject)),
    )
  const suites = RUNTIMES.flatMap((runtime) =>
    SUITES.filter((suite) => isExpected(suite, runtime) && !has(suite, runtime)).map(
      (suite) => `nothing was heard of the ${suite} suite on ${runtime}`,
    ),
  )
  const stores = PARTS.flatMap((part) =>
    Object.entries(BACKENDS).flatMap(([backend, places]) =>
      places[part]
        .filter((runtime) => !isAbsent(backend, columns) && !has(part, runtime, backend))
        .map((runtime) => `nothing was heard of ${part} in ${backend} on ${runtime}`),
    ),
  )
  return [...suites, ...stores]
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
  console.log(drawAll(columns))
  const absent = PEERS.filter((backend) => isAbsent(backend, columns))
  const written = writtenRows(readFileSync(DOCUMENT, 'utf8')).filter(
    (row) => !absent.some((backend) => row.includes(`| ${backend} |`)),
  )
  const found = gapRows(columns)
  const faults = [
    ...found.filter((row) => !written.includes(row)).map((row) => `docs/runtimes.md does not show this gap: ${row}`),
    ...written.filter((row) => !found.includes(row)).map((row) => `docs/runtimes.md shows a gap that is none: ${row}`),
  ]
  if (faults.length > 0) faults.push('`node test/matrix.ts` writes the gaps of the last run into docs/runtimes.md')
  return [...findMissing(columns), ...faults]
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
