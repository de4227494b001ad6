/** No regular expression is slow on text of a stranger. The test also shows that the check can fail. */
import { resolve } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { DaemonRuntime } from '../../bench/daemon.ts'
import { Program } from '../../bench/programs.ts'
import { scriptCommand } from '../../bench/servers.ts'
import { sample } from '../../kit/sample.ts'
import { breachesIn, findPatternBreaches } from './breaches.ts'
import { findPatterns, type Pattern, patternsIn } from './finder.ts'
import type { PatternOrder, PatternOutcome } from './program.ts'
import { riskOf, shapeOf } from './shape.ts'
import { type PatternEntry, PATTERNS } from './table.ts'

const root = resolve(import.meta.dirname, '../../..')
/** The time after which a hanging pattern is ended. */
const TIMEOUT_MS = 60_000
const LENGTH = 64 * 1024
/** A quadratic pattern takes seconds for it. */
const MAX_MS = 1_000
/** The length of a text on which a quadratic pattern is slow enough to be noticed, but does not take seconds. */
const SHORT = 24 * 1024

const programs = new Map<DaemonRuntime, Program>()
afterAll(() => Promise.all([...programs.values()].map((program) => program.end())))

/** Runs a pattern on its slowest texts. */
function run(runtime: DaemonRuntime, order: PatternOrder): Promise<PatternOutcome> {
  let program = programs.get(runtime)
  if (program === undefined) {
    program = new Program(scriptCommand(runtime, resolve(import.meta.dirname, 'program.ts')), { core: undefined })
    programs.set(runtime, program)
  }
  program.write(order)
  return program.line(TIMEOUT_MS)
}

test('the table has every risky pattern of this tree, and no pattern that is gone', () => {
  expect(findPatternBreaches(root)).toEqual([])
})

/** Node and Deno have one engine of regular expressions, and Bun has another. A run looks at one of the engines. */
const RUNTIMES: readonly DaemonRuntime[] = sample(['bun', ...sample(['node', 'deno'] as const, 1)], 1, 1)

describe.each(RUNTIMES)('on %s', (runtime) => {
  test('every pattern that reads text of strangers is linear on its worst text', async () => {
    const byPlace = new Map(findPatterns(root).map((pattern) => [`${pattern.file} ${pattern.text}`, pattern]))
    const entries = PATTERNS.filter(({ by }) => by === 'stranger')
    expect(entries.length).toBeGreaterThan(5)
    for (const { file, pattern, worst } of entries) {
      const { source, flags } = byPlace.get(`${file} ${pattern}`) as Pattern
      expect(worst, `${file} ${pattern} has no worst text`).toBeDefined()
      const order = { source: source as string, flags, length: LENGTH, maxMs: MAX_MS }
      const outcome = await run(runtime, { ...order, worst: worst as [string, string, string] })
      expect(outcome, `${file} ${pattern}`).not.toHaveProperty('slow')
      expect(outcome.texts).toBeGreaterThan(10)
    }
  })

  test.each([
    [' +SMTPUTF8$', 'i'],
    ['^ *(\\d+)(.*)$', ''],
    ['(\\/\\/)[^\\s/@"\']+:[^\\s/@"\']+@', 'g'],
    ['^PROXY (\\w+\\s*)+;$', ''],
  ])('the worst text of /%s/%s is found without a hint', async (source, flags) => {
    const outcome = await run(runtime, { source, flags, length: source.includes(')+') ? 24 : SHORT, maxMs: 40 })
    expect(outcome).toHaveProperty('slow')
  })
})

const found = (source: string, file = 'packages/a/src/a.ts'): (string | undefined)[] =>
  patternsIn({ [file]: source }).map(({ source, flags }) => (source === undefined ? undefined : `/${source}/${flags}`))

test.each([
  ['const a = /x+/g', '/x+/g'],
  ['function f(t: string) { return /x+/.test(t) }', '/x+/'],
  ['const f = (t: string) => /x+/.test(t)', '/x+/'],
  ['if (a) /x+/.test(b)', '/x+/'],
  ['for (;;) {} /x+/.test(b)', '/x+/'],
  ['const a = `${b.replace(/x+/g, `${/y/}`)}`', '/x+/g', '/y/'],
  ['class A { static #a = /x+/; b = [/[/"]+/, typeof /z/] }', '/x+/', '/[/"]+/', '/z/'],
  ['const a = b as string satisfies unknown, c = <T>(d: T) => /x+/', '/x+/'],
  ['const A = "x"; const B = `${A}+`; const c = new RegExp(`^${B}(?:${A})*`, "u")', '/^x+(?:x)*/u'],
  ['const a = RegExp("\\\\d+" + "x")', '/\\d+x/'],
  ['const A = "y"; const a = RegExp(String.raw`\\d+`), b = RegExp(String.raw`\\s${A}\\d`)', '/\\d+/', '/\\sy\\d/'],
  ['a.match("x+"); a.search(`y+`); a.split("z+"); new URL(b).search', '/x+/', '/y+/'],
  ['new RegExp(given)', undefined],
  ['new RegExp(`a${given}`)', undefined],
  ['const a = b / c / d; const e = f() / 2 / g; const h = i[0] / 2 / j'],
  ['// /x+/\n/* /y+/ */ const a = "/z+/" + `/z+/`'],
])('patterns are found in: %s', (source, ...expected) => {
  expect(found(source)).toEqual(expected)
  expect(found(source.replaceAll(/: string|: T|<T>| as string satisfies unknown/g, ''), 'apps/a/a.js')).toEqual(
    expected,
  )
})

test.each([
  ['^[a-z]*$', '', undefined],
  ['^a{1,80}(?:b|c)?$', '', undefined],
  ['[^a]', 'g', undefined],
  ['a+', 'y', undefined],
  ['^[\\]*+]+$', '', undefined],
  ['^\\++\\u{61}?$', 'u', undefined],
  ['a+', '', 'unanchored'],
  ['^a+|b+', '', 'unanchored'],
  ['^a+', 'm', 'unanchored'],
  ['(?<!a*)b', '', 'unanchored'],
  ['x{1,100000}', 'g', 'unanchored'],
  ['^a+b+$', '', 'several'],
  ['^(?:ab)*$', '', 'several'],
  ['^(a+)*$', '', 'nested'],
  ['^(a?)*$', '', 'nested'],
  ['^(?:a{1,20})*$', '', 'nested'],
  ['^(?:x(?<name>a+)){3}$', '', 'nested'],
] as const)('the risk of /%s/%s is %s', (source, flags, risk) => {
  expect(riskOf(shapeOf(source, flags))).toBe(risk)
})

const ENTRY: PatternEntry = {
  file: 'packages/a/src/a.ts',
  pattern: '/a+b+/',
  risk: 'unanchored',
  by: 'program',
  text: 'a text',
}

function breaches(source: string, table: readonly PatternEntry[]): string[] {
  return breachesIn(patternsIn({ [ENTRY.file]: source }), table)
}

test('a pattern is not a breach if it is in the table or plainly linear', () => {
  expect(breaches('const a = /a+b+/, b = /^c+$/', [ENTRY])).toEqual([])
})

test.each<[string, string, PatternEntry[], RegExp]>([
  [
    'a pattern that is not in the table',
    'const a = 1\nconst b = / +x$/i',
    [],
    /^packages\/a\/src\/a\.ts:2: \/ \+x\$\/i: .* begin anywhere/,
  ],
  ['a nested repeat', 'const a = /^(a+)+$/', [], /a repeat in a repeat/],
  ['an entry whose pattern is gone', '', [ENTRY], /nobody has packages\/a\/src\/a\.ts \/a\+b\+\/ any more/],
  ['an entry whose pattern is now another', 'const a = /^a+$/', [ENTRY], /nobody has/],
  ['an entry of another risk', 'const a = /a+b+/', [{ ...ENTRY, risk: 'several' }], /its risk is 'unanchored'/],
  ['an entry that is not needed', 'const a = /^a+/', [{ ...ENTRY, pattern: '/^a+/' }], /take it out/],
  ['an entry that is there twice', 'const a = /a+b+/', [ENTRY, ENTRY], /there twice/],
  ['a pattern that is made at run time', 'new RegExp(given)', [], /can't be told/],
])('%s is a breach', (_, source, table, expected) => {
  const lines = breaches(source, table)
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(expected)
})
