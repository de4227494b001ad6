/** What an option is, and what is derived from its row: types, and values where the row is like others. */
import { Failure } from '../../host/failure.ts'
import { unitOf } from '../values/quantity.ts'
import { optional, quantity, type Schema, text, trueOrFalse } from '../values/schema.ts'

/** The commands that take options of the server. */
export type CommandName = 'serve' | 'front' | 'sweep'

/**
 * One row. A schema takes what a person may write (`'25MiB'`, `'yes'`) and gives what the server uses; its error is the end of the
 * sentence "… is not …".
 */
export interface Option<Given = unknown, Value = unknown> {
  readonly schema: Schema<Value>
  /** As a person would write it; `undefined` is an option that may stay without a value. */
  readonly byDefault: Given | undefined
  readonly help: string
  /** The heading that the help lists it under. */
  readonly group: string
  /** What the help calls the value; without it the option is a switch. */
  readonly value?: string
  /** May be given several times. */
  readonly repeatable?: true
  /** Its value is never shown. */
  readonly secret?: true
  /** It has no text form, so only the config file can hold it. */
  readonly fileOnly?: true
  /** The commands that take it. Default: `serve` alone. */
  readonly commands?: readonly CommandName[]
  /** What docs/configuration.md says besides, and in place of a default that is this machine's. */
  readonly docs?: { readonly more?: string; readonly byDefault?: string }
}

/** What a config file may say, where these are the rows. Each may be left out. */
export type GivenOf<Rows> = {
  readonly [Name in keyof Rows]?: (Rows[Name] extends Option<infer Given> ? Given : never) | undefined
}

/** What the server uses: every option with its value. */
export type ValuesOf<Rows> = {
  readonly [Name in keyof Rows]: Rows[Name] extends Option<unknown, infer Value> ? Value : never
}

/** Options with their values, to see whether they go together. */
export interface Choice<Rows> {
  readonly options: ValuesOf<Rows>
  /** An option as the user wrote it, to name it in a message. */
  spelled(name: keyof Rows): string
}

/** The failure of an option that needs another one. */
export function needs(name: string, what: string): Failure {
  return new Failure(`${name}: needs ${what}`)
}

/** What the rows of one kind have in common. */
type Common = Pick<Option, 'group' | 'help' | 'commands'>

/** A size, a time or a number, as the end of its name says. */
export function amount<Given>(
  name: string,
  { min, max = Infinity, byDefault }: { readonly min: number; readonly max?: number; readonly byDefault: Given },
  common: Common,
): Option<Given, number> {
  const unit = unitOf(name)
  const value = { bytes: 'size', time: 'time', count: 'number' }[unit]
  return { schema: quantity(unit, min, max), byDefault, value, ...common }
}

/** A switch, which is off by default. */
export function onOff(common: Common): Option<boolean, boolean> {
  return { schema: trueOrFalse(), byDefault: false, ...common }
}

/** The path of a file. */
export function file(common: Common): Option<string, string | undefined> {
  return { schema: optional(text(/^[^\0]+$/, 'the path of a file')), byDefault: undefined, value: 'file', ...common }
}
