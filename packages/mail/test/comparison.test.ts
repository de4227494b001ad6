/** The corpus of awkward messages, read by us and by the parsers that most programs use. Only our own findings can fail the test. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { CORPUS, messageOf } from '../../../test/contracts/mime/mime.ts'
import { byUs, type ParserName, PARSERS } from './corpus/parsers.ts'
import { type Agreement, agreementOf, type Comparison, drawn } from './corpus/report.ts'

const CACHE = resolve(import.meta.dirname, '../../../test/.cache')
const comparisons: Comparison[] = []

afterAll(() => {
  mkdirSync(CACHE, { recursive: true })
  // `pnpm test` prints it at its end.
  writeFileSync(resolve(CACHE, 'mime.txt'), `${drawn(comparisons)}\n`)
})

test.each(CORPUS.flatMap(({ name: group, rows }) => rows.map((row) => ({ group, row, title: row.name }))))(
  '$group: $title: we find the parts that are expected, and other parsers are asked',
  async ({ group, row }) => {
    const message = messageOf(row)
    const ours = await byUs(message, row.limits)
    expect(ours.sections).toEqual(row.parts.map(({ section }) => section))
    const others: Partial<Record<ParserName, Agreement>> = {}
    for (const [name, parse] of Object.entries(PARSERS) as [ParserName, (typeof PARSERS)[ParserName]][]) {
      others[name] = await parse(message).then(
        (found) => agreementOf(ours, found),
        (error: unknown) => String(error),
      )
    }
    comparisons.push({ group, name: row.name, ours, others: others as Record<ParserName, Agreement> })
  },
)
