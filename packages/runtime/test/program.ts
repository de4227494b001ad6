/** Starts a program that reports outcomes, in whatever runtime, and makes a test of each. */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { testWith } from '../../../test/kit/need.ts'
import type { Outcome } from './outcome.ts'

/** Where `pnpm test` finds what its matrix is made of. */
const MATRIX = resolve(import.meta.dirname, '../../../test/.cache/matrix')

/** Runs the command to its end. Rejects where it reports nothing, breaks, or takes longer than `timeoutMs`. */
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

/** A test for each outcome, and a column of the matrix: `suite` of `runtime`. */
export function testOutcomes(suite: string, runtime: string, outcomes: readonly Outcome[]): void {
  writeColumn(suite, runtime, outcomes)
  for (const { subject, check, result, reason = '' } of outcomes) {
    const name = `${subject}: ${check}`
    if (result === 'absent') testWith([{ missing: reason }], name, async () => {})
    else if (result === 'skipped') test.skip(`${name} (${reason})`, () => {})
    else test(name, () => expect(result, reason).toBe('passed'))
  }
}

/** A column of the matrix, or a piece of one: `piece` is its name then. */
export function writeColumn(suite: string, runtime: string, outcomes: readonly Outcome[], piece?: string): void {
  mkdirSync(MATRIX, { recursive: true })
  const name = [suite, runtime, piece].filter((part) => part !== undefined).join(' ')
  writeFileSync(resolve(MATRIX, `${name}.json`), JSON.stringify({ suite, runtime, outcomes }))
}
