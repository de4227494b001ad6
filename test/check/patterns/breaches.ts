/** Compares the sources with the table of regular expressions. */
import { resolve } from 'node:path'
import { findPatterns, type Pattern } from './finder.ts'
import { riskOf, shapeOf } from './shape.ts'
import { PATTERNS, type PatternEntry } from './table.ts'

/** Returns every breach, one line each. */
export function findPatternBreaches(root: string): string[] {
  return breachesIn(findPatterns(root), PATTERNS)
}

export function breachesIn(found: readonly Pattern[], table: readonly PatternEntry[]): string[] {
  const entries = new Map(table.map((entry) => [keyOf(entry.file, entry.pattern), entry]))
  const missing = new Set(entries.keys())
  const breaches = found.flatMap(({ file, line, source, flags, text }) => {
    const at = `${file}:${line}: ${text}`
    if (source === undefined) return [`${at}: it can't be told what this is; make it of constants of its file`]
    const risk = riskOf(shapeOf(source, flags))
    const key = keyOf(file, text)
    const entry = entries.get(key)
    missing.delete(key)
    if (risk === entry?.risk) return []
    if (risk === undefined) return [`${at}: it is plainly linear; take it out of test/check/patterns/table.ts`]
    if (entry !== undefined) return [`${at}: its risk is '${risk}' in test/check/patterns/table.ts`]
    return [`${at}: ${EXPLANATIONS[risk]}; write it without, or add it to test/check/patterns/table.ts, as '${risk}'`]
  })
  for (const key of missing) breaches.push(`test/check/patterns/table.ts: nobody has ${key} any more`)
  if (entries.size !== table.length) breaches.push('test/check/patterns/table.ts: a pattern is there twice')
  return breaches
}

const EXPLANATIONS = {
  nested: 'it has a repeat in a repeat',
  unanchored: 'it has an open repeat, and may begin anywhere',
  several: 'it has several open repeats, or one of a group',
} as const

function keyOf(file: string, pattern: string): string {
  return `${file} ${pattern}`
}

if (import.meta.main) {
  const breaches = findPatternBreaches(resolve(import.meta.dirname, '../../..'))
  for (const breach of breaches) console.error(breach)
  process.exitCode = breaches.length === 0 ? 0 : 1
}
