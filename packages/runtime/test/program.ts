/** Starts programs that report outcomes, in any runtime, and makes tests of the outcomes. */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { beforeAll, describe, expect, test, type TestContext } from 'vitest'
import { skipFor } from '../../../test/kit/need.ts'
import { COMMANDS } from '../../../test/kit/commands.ts'
import type { Outcome, Row } from '../../../test/contracts/outcome.ts'

/** The directory in which `pnpm test` finds the columns of its matrix. */
const MATRIX = resolve(import.meta.dirname, '../../../test/.cache/matrix')

/** Longer than a program takes on a busy machine. */
const PROGRAM_TIMEOUT_MS = 300_000
const SUITE_TIMEOUT_MS = 600_000

/** Runs the command to its end. Rejects if it reports nothing, fails, or takes longer than `timeoutMs`. */
export async function outcomesOf(command: readonly [string, ...string[]], timeoutMs: number): Promise<Outcome[]> {
  const [program, ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-10_000)))
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  const [code, signal] = await new Promise<[number | null, string | null]>((done, fail) => {
    child.on('error', fail)
    child.on('close', (code, signal) => done([code, signal]))
  })
  clearTimeout(timer)
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'))
  if (code !== 0 || lines.length === 0) {
    throw new Error(`${command.join(' ')}: ended with ${code ?? signal} after ${lines.length} outcomes\n${stderr}`)
  }
  return lines.map((line) => JSON.parse(line) as Outcome)
}

/** A suite that a program runs inside a runtime. */
export interface Suite {
  readonly suite: string
  readonly runtime: string
  /** All checks of the suite. Each is a test. */
  readonly rows: readonly Row[]
  run(): Promise<readonly Outcome[]>
}

/** Runs a suite before its tests, each of which reads one outcome, and writes its column of the matrix. */
export function testSuite({ suite, runtime, rows, run }: Suite): void {
  describe(runtime, () => {
    let outcomes: readonly Outcome[] = []
    beforeAll(async () => {
      outcomes = await run()
      writeColumn(suite, runtime, outcomes)
    }, SUITE_TIMEOUT_MS)

    for (const { subject, check } of rows) {
      test(`${subject}: ${check}`, (context) => {
        const found = outcomes.filter((outcome) => outcome.subject === subject && outcome.check === check)
        if (found.length !== 1) throw new Error(`${found.length} outcomes were reported`)
        settle(context, found[0] as Outcome)
      })
    }
    test('it reports nothing else', () => expect(outcomes).toHaveLength(rows.length))
  })
}

/** Runs suites side by side, because each mostly waits. Their tests follow one after another. */
export function testSuites(suites: readonly Suite[]): void {
  const running = new Map<Suite, Promise<readonly Outcome[]>>()
  beforeAll(() => {
    for (const suite of suites) {
      const outcomes = suite.run()
      // A failure belongs to the suite that awaits it.
      outcomes.catch(() => {})
      running.set(suite, outcomes)
    }
  })
  for (const suite of suites) testSuite({ ...suite, run: async () => (await running.get(suite)) ?? [] })
}

/**
 * Runs a program that reports outcomes on runtimes of {@link COMMANDS}.
 *
 * @param rows What it reports. A function if it reports less on some runtimes
 */
export function testProgram(
  suite: string,
  rows: readonly Row[] | ((runtime: string) => readonly Row[]),
  program: string,
  runtimes: readonly (keyof typeof COMMANDS)[] = ['node', 'deno', 'bun'],
): void {
  const suites = runtimes.map((runtime) => ({
    suite,
    runtime,
    rows: typeof rows === 'function' ? rows(runtime) : rows,
    run: () => outcomesOf([...COMMANDS[runtime], program], PROGRAM_TIMEOUT_MS),
  }))
  testSuites(suites)
}

/** Ends a test as its outcome says. */
export function settle(context: TestContext, { result, reason = '' }: Outcome): void {
  if (result === 'absent') skipFor(context, reason)
  if (result === 'skipped') context.skip(reason)
  if (result === 'failed') throw new Error(reason)
}

/** A column of the matrix, or a piece of one: `piece` is its name then. */
export function writeColumn(suite: string, runtime: string, outcomes: readonly Outcome[], piece?: string): void {
  mkdirSync(MATRIX, { recursive: true })
  const name = [suite, runtime, piece].filter((part) => part !== undefined).join(' ')
  writeFileSync(resolve(MATRIX, `${name}.json`), JSON.stringify({ suite, runtime, outcomes }))
}
