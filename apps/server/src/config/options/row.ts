/** The type of an option's row, the types that are derived from rows, and helpers for rows of the same kind. */
import { Failure } from '../../host/failure.ts'
import { unitOf } from '../values/quantity.ts'
import { list, optional, quantity, type Schema, text, trueOrFalse } from '../values/schema.ts'

/** The commands that take options of the server. */
export type CommandName = 'serve' | 'front' | 'sweep' | 'send' | 'queue' | 'show' | 'dkim' | 'release'

/**
 * One row. The schema reads what a person wrote (`'25MiB'`, `'yes'`) and returns the value that the server uses. Its
 * error is the end of the sentence "… is not …".
 */
export interface Option<Given = unknown, Value = unknown> {
  readonly schema: Schema<Value>
  /** In the form in which a person would write it. `undefined`: the option may have no value. */
  readonly byDefault: Given | undefined
  readonly help: string
  /** The heading that the help lists it under. */
  readonly group: string
  /** The name of the value in the help. Without it the option is a switch. */
  readonly value?: string
  /** May be given several times. */
  readonly repeatable?: true
  /** No message shows its value. */
  readonly secret?: true
  /** It has no text form, so only the config file can set it. */
  readonly fileOnly?: true
  /** The commands that take it. Default: only `serve`. */
  readonly commands?: readonly CommandName[]
  /** For docs/configuration.md: text after the help, and the default if it depends on the machine. */
  readonly docs?: { readonly more?: string; readonly byDefault?: string }
}

/** The options that a config file may have, for these rows. All are optional. */
export type GivenOf<Rows> = {
  readonly [Name in keyof Rows]?: (Rows[Name] extends Option<infer Given> ? Given : never) | undefined
}

/** Every option with the value that the server uses. */
export type ValuesOf<Rows> = {
  readonly [Name in keyof Rows]: Rows[Name] extends Option<unknown, infer Value> ? Value : never
}

/** Options with their values, for checks of combinations. */
export interface Choice<Rows> {
  readonly options: ValuesOf<Rows>
  /** Returns the option's name as the user wrote it, for messages. */
  spelled(name: keyof Rows): string
}

/** Makes the failure of an option that needs another one. */
export function needs(name: string, what: string): Failure {
  return new Failure(`${name}: needs ${what}`)
}

/** The fields that rows of every kind have. */
type Common = Pick<Option, 'group' | 'help' | 'commands'>

/** Makes the row of a size, a time or a number. The end of its name tells which. */
export function amount<Given>(
  name: string,
  { min, max = Infinity, byDefault }: { readonly min: number; readonly max?: number; readonly byDefault: Given },
  common: Common,
): Option<Given, number> {
  const unit = unitOf(name)
  const value = { bytes: 'size', time: 'time', count: 'number' }[unit]
  return { schema: quantity(unit, min, max), byDefault, value, ...common }
}

/** Makes the row of a switch, off by default. */
export function onOff(common: Common): Option<boolean, boolean> {
  return { schema: trueOrFalse(), byDefault: false, ...common }
}

/** Makes the row of an option that names files. */
export function files(common: Common): Option<string | readonly string[], readonly string[]> {
  const path = text(/^[^\0]+$/, 'the path of a file')
  return { schema: list(path), byDefault: [], value: 'file', repeatable: true, ...common }
}

/** Makes the row of an option that names a file. */
export function file(common: Common): Option<string, string | undefined> {
  return { schema: optional(text(/^[^\0]+$/, 'the path of a file')), byDefault: undefined, value: 'file', ...common }
}
