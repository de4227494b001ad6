/** Checks the arguments of a test. A test in JavaScript has no compiler that finds a misspelt name. */
import { OptionError } from '@postern/engine'

/** The longest time that a timer takes on every runtime: 2^31 - 1 ms. */
export const MAX_MS = 2_147_483_647

/** @throws OptionError if `given` is not an object, or has a field that is not one of `known` */
export function checkFields(what: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null) throw new OptionError(what, given, 'an object')
  for (const [field, value] of Object.entries(given)) {
    if (known.includes(field)) continue
    throw new OptionError(`${what}.${field}`, value, `a field of it; the fields are ${known.join(', ')}`)
  }
}

/** @throws OptionError */
export function checkWhole(field: string, value: unknown, min: number, max: number): void {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return
  throw new OptionError(field, value, `a whole number from ${min} to ${max}`)
}

/** @throws OptionError */
export function checkOneOf(field: string, value: unknown, allowed: readonly unknown[]): void {
  if (allowed.includes(value)) return
  const shown = allowed.map((one) => (typeof one === 'string' ? `'${one}'` : String(one)))
  throw new OptionError(field, value, `one of ${shown.join(', ')}`)
}
