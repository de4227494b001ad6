/** The building blocks of option schemas. Each error is the end of a sentence: "… is not `allowed`". */
import * as z from 'zod/mini'
import { formatQuantity, parseQuantity, type Unit } from './quantity.ts'

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

/** A text of this form. */
export function text(pattern: RegExp, allowed: string): z.ZodMiniType<string> {
  return z.string({ error: allowed }).check(z.regex(pattern, { error: allowed }))
}

/** One of these words. */
export function oneOf<const Word extends string>(...words: readonly Word[]): z.ZodMiniType<Word> {
  return z.enum(words, { error: `one of ${words.join(', ')}` }) as unknown as z.ZodMiniType<Word>
}

/** A boolean, or a word for one. */
export function trueOrFalse(): z.ZodMiniType<boolean> {
  return parsed((given) => {
    if (typeof given === 'boolean') return given
    return typeof given === 'string' ? WORDS[given.toLowerCase()] : undefined
  }, 'true or false')
}

/** A whole number of `unit`, also with a unit of its own (`'25MiB'`). `max` Infinity allows Infinity itself. */
export function quantity(unit: Unit, min: number, max: number): z.ZodMiniType<number> {
  return parsed(
    (given) => {
      const value = typeof given === 'string' ? parseQuantity(given, unit) : given
      const isExact = Number.isSafeInteger(value) || (value === Infinity && max === Infinity)
      return isExact && typeof value === 'number' && value >= min && value <= max ? value : undefined
    },
    quantityAllowed(unit, min, max),
  )
}

function quantityAllowed(unit: Unit, min: number, max: number): string {
  const kind = { bytes: 'a size such as 25MiB or 10MB', time: 'a time such as 30s or 5m', count: 'a whole number' }[
    unit
  ]
  const range = `${kind}, from ${formatQuantity(min, unit)}`
  if (max === Infinity) return `${range}, or Infinity`
  // Past the largest exact integer there is no bound that anyone could meet.
  return max >= Number.MAX_SAFE_INTEGER ? range : `${range} to ${formatQuantity(max, unit)}`
}

/** A list, or one element in its place. */
export function list<Value>(item: z.ZodMiniType<Value>): z.ZodMiniType<readonly Value[]> {
  const wrap = z.transform((given: unknown) => (Array.isArray(given) ? given : [given]))
  return z.pipe(wrap, z.array(item))
}

/** A list that holds something. */
export function nonEmpty<Value>(values: z.ZodMiniType<readonly Value[]>): z.ZodMiniType<readonly Value[]> {
  return values.check(z.refine((given) => given.length > 0, { error: 'a list of at least one' }))
}

/** What `parse` makes of the value; where it makes undefined, an error. */
export function parsed<Value>(parse: (given: unknown) => Value | undefined, allowed: string): z.ZodMiniType<Value> {
  const step = z.transform((given: unknown, context) => {
    const value = parse(given)
    if (value !== undefined) return value
    context.issues.push({ code: 'custom', message: allowed, input: given })
    return z.NEVER
  })
  return z.pipe(z.unknown(), step) as unknown as z.ZodMiniType<Value>
}

/** As {@link parsed}, of a text. */
export function parsedText<Value>(parse: (given: string) => Value | undefined, allowed: string): z.ZodMiniType<Value> {
  return parsed((given) => (typeof given === 'string' ? parse(given) : undefined), allowed)
}
