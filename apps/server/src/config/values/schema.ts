/**
 * The building blocks of option schemas. Each error is the end of a sentence: "… is not `allowed`". Postern has its
 * own, because loading a validation library would take most of the start time.
 */
import { nearest } from './nearest.ts'
import { formatBound, parseQuantity, type Unit } from './quantity.ts'

/**
 * Reads what a person wrote and returns the value that the server uses.
 * @throws NotAllowed
 */
export interface Schema<Value> {
  (given: unknown): Value
  /** The words that are allowed, if there are no other values. */
  readonly words?: readonly string[]
}

/** A value, or an element of a list, that its option does not allow. */
export class NotAllowed extends Error {
  override readonly name = 'NotAllowed'
  readonly culprit: unknown
  readonly allowed: string
  /** The place inside the option's value: `.rcpt` of `handlers`. */
  readonly path: string

  constructor(culprit: unknown, allowed: string, path: string = '') {
    super(`not ${allowed}`)
    this.culprit = culprit
    this.allowed = allowed
    this.path = path
  }
}

/** A value whose mistake needs words of its own. */
export class Mistaken extends NotAllowed {
  /** @param message The whole sentence behind the name of the option */
  constructor(message: string, path: string, allowed: string = '') {
    super(undefined, allowed, path)
    this.message = message
  }
}

/** A key that an object may not have. */
export class UnknownKey extends Mistaken {
  /** @param what What the keys of the object are: `hook` */
  constructor(key: string, what: string, known: readonly string[]) {
    const said = `there is no such ${what}${nearest(key, known)}; the ${what}s are ${known.join(', ')}`
    super(said, `.${key}`, `one of ${known.join(', ')}`)
  }
}

const WORDS: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  1: true,
  false: false,
  no: false,
  off: false,
  0: false,
}

/** A text that matches the pattern. */
export function text(pattern: RegExp, allowed: string): Schema<string> {
  return parsedText((given) => (pattern.test(given) ? given : undefined), allowed)
}

/** Text for a reply. */
export const ONE_LINE: Schema<string> = text(
  /^[\x20-\x7e]{0,200}$/,
  'one line of at most 200 printable ASCII characters',
)

/** One of these words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): Schema<Word> {
  const schema = parsed((given) => words.find((word) => word === given), `one of ${words.join(', ')}`)
  return Object.assign(schema, { words })
}

/** A boolean, or a word for one. */
export function trueOrFalse(): Schema<boolean> {
  return parsed((given) => {
    if (typeof given === 'boolean') return given
    return typeof given === 'string' ? WORDS[given.toLowerCase()] : undefined
  }, 'true or false')
}

/** A whole number of `unit`, or a text with a unit (`'25MiB'`). If `max` is Infinity, Infinity itself is allowed. */
export function quantity(unit: Unit, min: number, max: number): Schema<number> {
  return parsed(
    (given) => {
      const value = typeof given === 'string' ? parseQuantity(given, unit) : given
      const isExact = Number.isSafeInteger(value) || (value === Infinity && max === Infinity)
      return isExact && typeof value === 'number' && value >= min && value <= max ? value : undefined
    },
    quantityAllowed(unit, min, max),
  )
}

const KINDS: Readonly<Record<Unit, string>> = { bytes: 'a size', time: 'a time', count: 'a whole number' }
const EXAMPLES: Readonly<Record<Unit, readonly string[]>> = {
  bytes: ['25MiB', '4KiB'],
  time: ['30s', '30d', '5ms'],
  count: [],
}

function quantityAllowed(unit: Unit, min: number, max: number): string {
  const example = EXAMPLES[unit].find((text) => {
    const value = parseQuantity(text, unit)
    return value >= min && value <= max
  })
  const range = `${KINDS[unit]} from ${formatBound(min, unit)}`
  const such = example === undefined ? '' : `, such as ${example}`
  return max === Infinity ? `${range}${such}, or Infinity` : `${range} to ${formatBound(max, unit)}${such}`
}

/** A list, or a single element instead. */
export function list<Value>(item: Schema<Value>): Schema<readonly Value[]> {
  return (given) => (Array.isArray(given) ? given : [given]).map((element: unknown) => item(element))
}

/** A list in which one text may hold several elements with commas between them. */
export function commaList<Value>(item: Schema<Value>): Schema<readonly Value[]> {
  const values = list(item)
  return (given) => {
    const elements: readonly unknown[] = Array.isArray(given) ? given : [given]
    return values(
      elements.flatMap((element) =>
        typeof element === 'string' ? element.split(',').map((part) => part.trim()) : [element],
      ),
    )
  }
}

/** A list with at least one element. */
export function nonEmpty<Value>(values: Schema<readonly Value[]>): Schema<readonly Value[]> {
  return (given) => {
    const read = values(given)
    if (read.length === 0) throw new NotAllowed(given, 'a list with at least one element')
    return read
  }
}

/** A value, or none. */
export function optional<Value>(schema: Schema<Value>): Schema<Value | undefined> {
  return (given) => (given === undefined ? undefined : schema(given))
}

/** A value that passes the check. It is used unchanged. */
export function custom<Value>(isValue: (given: unknown) => given is Value, allowed: string): Schema<Value> {
  return parsed((given) => (isValue(given) ? given : undefined), allowed)
}

/** The result of `parse`. If `parse` returns undefined, the value is not allowed. */
export function parsed<Value>(parse: (given: unknown) => Value | undefined, allowed: string): Schema<Value> {
  return (given) => {
    const value = parse(given)
    if (value === undefined) throw new NotAllowed(given, allowed)
    return value
  }
}

/** The same as {@link parsed}, for texts only. */
export function parsedText<Value>(parse: (given: string) => Value | undefined, allowed: string): Schema<Value> {
  return parsed((given) => (typeof given === 'string' ? parse(given) : undefined), allowed)
}
