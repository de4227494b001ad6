/** Makes texts on which a regular expression is slow, if there are any, from the pattern itself. */
import { type OpenRepeat, type Shape, shapeOf, type Term } from './shape.ts'

/** The letters that texts are made of. */
const MAX_LETTERS = 9
/** The values that a letter may have. Those that patterns are about come first. */
const CANDIDATES: readonly string[] = [
  ...'a0 -A._/:@"\\<>=+%,;[]{}()\t\r\n\0~',
  ...Array.from({ length: 128 }, (_, code) => String.fromCharCode(code)),
  '\u00e9',
  '\u{1f600}',
]

/** Makes texts of about this many characters. */
export function* slowInputs(source: string, flags: string, length: number): Generator<string> {
  const shape = shapeOf(source, flags)
  const letters = lettersOf(shape, flags)
  const starts = new Set(['', ...shape.openRepeats.map(({ before }) => shortest(before, letters, flags))])
  const bodies = new Set([...letters, ...shape.openRepeats.flatMap((repeat) => bodiesOf(repeat, letters, flags))])
  const ends = ['', ...letters]
  for (const start of starts) {
    for (const body of bodies) for (const end of ends) yield start + repeated(body, length) + end
  }
  for (const one of letters) for (const other of letters) if (one !== other) yield repeated(one + other, length)
  // Two runs of equal length.
  for (const one of letters) {
    for (const other of letters) if (one !== other) yield repeated(one, length / 2) + repeated(other, length / 2)
  }
  // Repeats the text before a repeat, because a pattern that is not anchored begins at each copy.
  for (const start of starts) for (const end of ends) yield repeated(start + end, length)
}

function repeated(text: string, length: number): string {
  return text === '' ? '' : text.repeat(Math.ceil(length / text.length))
}

/** Returns one character for each set of classes that match it. Those of repeats come first. */
function lettersOf({ characters, openRepeats }: Shape, flags: string): string[] {
  const inRepeats = new Set<string>()
  for (const { term } of openRepeats) for (const source of charactersIn(term)) inRepeats.add(source)
  const matchers = [...characters].map((source) => ({ source, pattern: matcherOf(source, flags) }))
  const kinds = new Map<string, { letter: string; weight: number }>()
  for (const letter of CANDIDATES) {
    const classes = matchers.filter(({ pattern }) => pattern.test(letter)).map(({ source }) => source)
    const kind = classes.join('\n')
    const weight = classes.filter((source) => inRepeats.has(source)).length
    if (!kinds.has(kind)) kinds.set(kind, { letter, weight })
  }
  const sorted = [...kinds.values()].toSorted((one, other) => other.weight - one.weight)
  const outside = sorted.at(-1)
  return [...new Set([...sorted.slice(0, MAX_LETTERS - 1), ...(outside === undefined ? [] : [outside])])].map(
    ({ letter }) => letter,
  )
}

function charactersIn(term: Term): string[] {
  if (term.kind === 'character') return [term.source]
  return term.options.flat().flatMap(charactersIn)
}

function matcherOf(source: string, flags: string): RegExp {
  return new RegExp(`^${source}$`, flags.replace(/[gy]/g, ''))
}

/** Returns the contents of a repeat: each of its alternatives at its shortest, with any letter. */
function bodiesOf({ term }: OpenRepeat, letters: readonly string[], flags: string): string[] {
  if (term.kind === 'character') return []
  return term.options.flatMap((option) =>
    letters.map((letter) => shortest(option, [letter, ...letters], flags)).filter((text) => text !== ''),
  )
}

/** Returns the shortest text that matches, made of the first matching letters. */
function shortest(terms: readonly Term[], letters: readonly string[], flags: string): string {
  return terms
    .map((term) => {
      if (term.kind === 'assertion' || term.min === 0) return ''
      if (term.kind === 'group') return shortest(term.options[0] ?? [], letters, flags).repeat(term.min)
      const matcher = matcherOf(term.source, flags)
      return ([...letters, ...CANDIDATES].find((letter) => matcher.test(letter)) ?? '').repeat(term.min)
    })
    .join('')
}
