/** Parses regular expressions as far as it matters for their run time: their repeats, and the parts before them. */

/** One element of a pattern, and how often it is repeated. */
export interface Term {
  readonly kind: 'character' | 'group' | 'assertion'
  /** As it is written: `[a-z]`, `\d`, `x`. */
  readonly source: string
  /** The alternatives of a group. */
  readonly options: readonly (readonly Term[])[]
  readonly min: number
  readonly max: number
}

/** A repeat without a bound, or with a bound that is too large. */
export interface OpenRepeat {
  readonly term: Term
  /** It is inside another repeat. */
  readonly isNested: boolean
  /** The elements before it, from the start of the pattern. */
  readonly before: readonly Term[]
}

export interface Shape {
  readonly options: readonly (readonly Term[])[]
  /** A match can begin at only one position. */
  readonly isAnchored: boolean
  readonly openRepeats: readonly OpenRepeat[]
  /** Every character and class in it, as they are written. */
  readonly characters: ReadonlySet<string>
}

/** A larger bound counts as none: `{0,100000}` reads as far as `*` does. */
const MAX_BOUND = 2_000
const QUANTIFIER = /(?:[*+?]|\{(\d+)(,(\d*))?\})\??/y
/** `\xHH`, `\u{…}`, `\p{…}` and similar ones, or any other escaped octet. */
const ESCAPE = /\\(?:x[\da-f]{2}|u\{[\da-f]+\}|u[\da-f]{4}|[pP]\{[^}]*\}|c[a-z]|k<[^>]*>|[^])/iy
const CLASS = /\[\^?\]?(?:\\[^]|[^\]\\])*\]/y
const GROUP_HEAD = /\((?:\?(?:[:=!]|<[=!]|<\w+>|[a-z]*(?:-[a-z]+)?:))?/y
const LOOKAROUND = /^\(\?<?[=!]/

export function shapeOf(source: string, flags: string): Shape {
  const options = new Reader(source).options()
  const openRepeats: OpenRepeat[] = []
  const characters = new Set<string>()
  for (const terms of options) walk(terms, [], false, openRepeats, characters)
  const startsAtLine = flags.includes('m')
  const isAnchored =
    flags.includes('y') ||
    (!startsAtLine && options.every(([first]) => first?.kind === 'assertion' && first.source === '^'))
  return { options, isAnchored, openRepeats, characters }
}

/** The reason why a pattern may be slow on a long text. */
export type Risk = 'nested' | 'unanchored' | 'several'

/**
 * Returns why a person must check a pattern with an open repeat: nested repeats, a match that may begin anywhere, or
 * several repeats that could divide a text in many ways. Undefined if the pattern reads the text once forward, and at
 * most once back.
 */
export function riskOf({ isAnchored, openRepeats }: Shape): Risk | undefined {
  if (openRepeats.some(({ term, isNested }) => isNested || isVaried(term.options))) return 'nested'
  if (openRepeats.length > 0 && !isAnchored) return 'unanchored'
  return openRepeats.length > 1 || openRepeats.some(({ term }) => term.kind !== 'character') ? 'several' : undefined
}

/** Returns whether a part of it may match in several lengths. */
function isVaried(options: Term['options']): boolean {
  return options.flat().some((term) => term.min !== term.max || isVaried(term.options))
}

function walk(
  terms: readonly Term[],
  before: readonly Term[],
  isRepeated: boolean,
  openRepeats: OpenRepeat[],
  characters: Set<string>,
): void {
  terms.forEach((term, index) => {
    const lead = [...before, ...terms.slice(0, index)]
    if (term.max > MAX_BOUND) openRepeats.push({ term, isNested: isRepeated, before: lead })
    if (term.kind === 'character') characters.add(term.source)
    for (const option of term.options) walk(option, lead, isRepeated || term.max > 1, openRepeats, characters)
  })
}

class Reader {
  readonly #source: string
  #at = 0

  constructor(source: string) {
    this.#source = source
  }

  options(): Term[][] {
    const options: Term[][] = [[]]
    while (this.#at < this.#source.length && this.#source[this.#at] !== ')') {
      if (this.#source[this.#at] === '|') {
        this.#at++
        options.push([])
      } else options.at(-1)?.push(this.#term())
    }
    return options
  }

  #term(): Term {
    const element = this.#element()
    const [quantifier, least, comma, most] = this.#take(QUANTIFIER) ?? []
    if (quantifier === undefined) return { ...element, min: 1, max: 1 }
    if (least !== undefined) {
      const max = comma === undefined ? Number(least) : most === '' ? Infinity : Number(most)
      return { ...element, min: Number(least), max }
    }
    return { ...element, min: quantifier[0] === '+' ? 1 : 0, max: quantifier[0] === '?' ? 1 : Infinity }
  }

  #element(): Omit<Term, 'min' | 'max'> {
    const [head] = this.#take(GROUP_HEAD) ?? []
    if (head !== undefined) {
      const options = this.options()
      this.#at++
      return { kind: LOOKAROUND.test(head) ? 'assertion' : 'group', source: head, options }
    }
    const source = (this.#take(CLASS) ?? this.#take(ESCAPE))?.[0] ?? this.#character()
    const isAssertion = source === '^' || source === '$' || source === '\\b' || source === '\\B'
    return { kind: isAssertion ? 'assertion' : 'character', source, options: [] }
  }

  #character(): string {
    const character = String.fromCodePoint(this.#source.codePointAt(this.#at) as number)
    this.#at += character.length
    return character
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#source)
    if (match === null) return undefined
    this.#at += match[0].length
    return match
  }
}
