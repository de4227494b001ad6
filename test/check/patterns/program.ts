/**
 * Runs patterns on their slowest texts, in any runtime. It reads orders from standard input, and writes slow patterns
 * to standard output.
 */
import { createInterface } from 'node:readline'
import process from 'node:process'
import { slowInputs } from './inputs.ts'

export interface PatternOrder {
  readonly source: string
  readonly flags: string
  readonly worst?: readonly [start: string, body: string, end: string]
  /** Characters of each text. */
  readonly length: number
  /** The CPU time that one text may take. A linear pattern takes a thousandth of it. */
  readonly maxMs: number
}

export interface PatternOutcome {
  readonly texts: number
  /** The text that took too long, shortened. */
  readonly slow?: string
  /** The CPU time of the slowest text. */
  readonly mostMs: number
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(run(JSON.parse(line) as PatternOrder))}\n`)
}

function run(order: PatternOrder): PatternOutcome {
  const { source, flags, maxMs } = order
  let texts = 0
  let mostMs = 0
  for (const text of textsOf(order)) {
    texts++
    let ms = timed(source, flags, text)
    // Runs it once more if it is not much, because the runtime may have done other work meanwhile.
    if (ms > maxMs && ms < 2 * maxMs) ms = timed(source, flags, text)
    mostMs = Math.max(mostMs, ms)
    if (ms > maxMs) return { texts, mostMs, slow: shown(text) }
  }
  return { texts, mostMs }
}

function* textsOf({ source, flags, worst, length }: PatternOrder): Generator<string> {
  if (worst !== undefined) {
    const [start, body, end] = worst
    yield start + body.repeat(Math.ceil(length / body.length)) + end
  }
  yield* slowInputs(source, flags, length)
}

function timed(source: string, flags: string, text: string): number {
  const pattern = new RegExp(source, flags)
  const before = process.cpuUsage()
  if (pattern.global) text.replace(pattern, '')
  else pattern.test(text)
  return process.cpuUsage(before).user / 1000
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 20)}…${text.slice(-20)}` : text
}
