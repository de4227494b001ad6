/**
 * What values must be, as data: a value that is read is checked against it, the TypeScript type is checked against it by {@link ShapeOf}, and a JSON
 * Schema is made from it.
 */

/** A value that passes a check, an object with these fields, a list, a value that may be missing, or an object with values of one kind. */
export type Shape =
  | Leaf
  | { readonly fields: Readonly<Record<string, Shape>> }
  | { readonly each: Shape }
  | { readonly values: Shape }
  | { readonly maybe: Shape }

export interface Leaf {
  readonly is: (value: unknown) => boolean
  /** As an error names it: `a count`. */
  readonly name: string
  /** The same as JSON Schema. */
  readonly schema: JsonSchema
}

/** A part of a JSON Schema (2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>

/** The shape of a type: it has each of the type's fields, and may leave out those that are missing in some values only by `maybe`. */
export type ShapeOf<T> =
  | Leaf
  | (T extends readonly (infer Item)[]
      ? { readonly each: ShapeOf<Item> }
      : T extends object
        ? { readonly fields: FieldsOf<T> } | { readonly values: Shape }
        : never)

export type FieldsOf<T> = {
  readonly [Name in keyof T]-?: undefined extends T[Name]
    ? { readonly maybe: ShapeOf<NonNullable<T[Name]>> }
    : ShapeOf<T[Name]>
}

/**
 * Returns which field of `value` does not have this shape, and why: `.size is not a count`. Returns undefined if all are right.
 * The caller writes the name of `value` before it.
 */
export function wrongField(value: unknown, shape: Shape): string | undefined {
  if ('maybe' in shape) return value === undefined ? undefined : wrongField(value, shape.maybe)
  if ('is' in shape) return shape.is(value) ? undefined : ` is not ${shape.name}`
  if ('each' in shape) {
    if (!Array.isArray(value)) return ' is not a list'
    for (let index = 0; index < value.length; index++) {
      const wrong = wrongField(value[index], shape.each)
      if (wrong !== undefined) return `[${index}]${wrong}`
    }
    return undefined
  }
  if (!isObject(value)) return ' is not an object'
  if ('values' in shape) {
    for (const field in value) {
      const wrong = wrongField(value[field], shape.values)
      if (wrong !== undefined) return `.${field}${wrong}`
    }
    return undefined
  }
  for (const field in shape.fields) {
    const wrong = wrongField(Object.hasOwn(value, field) ? value[field] : undefined, shape.fields[field] as Shape)
    if (wrong !== undefined) return `.${field}${wrong}`
  }
  return undefined
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function oneOf(...values: readonly (string | number | boolean)[]): Leaf {
  return {
    is: (value) => (values as readonly unknown[]).includes(value),
    name: `one of ${values.join(', ')}`,
    schema: values.length === 1 ? { const: values[0] } : { enum: values },
  }
}

export function matching(pattern: RegExp, name: string): Leaf {
  return {
    is: (value) => typeof value === 'string' && pattern.test(value),
    name,
    schema: { type: 'string', pattern: pattern.source },
  }
}

export const TEXT: Leaf = { is: (value) => typeof value === 'string', name: 'text', schema: { type: 'string' } }
export const YES_OR_NO: Leaf = {
  is: (value) => typeof value === 'boolean',
  name: 'true or false',
  schema: { type: 'boolean' },
}
export const COUNT: Leaf = {
  is: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  name: 'a count',
  schema: { type: 'integer', minimum: 0 },
}
export const ANY_OBJECT: Leaf = { is: isObject, name: 'an object', schema: { type: 'object' } }
/** An object with texts. */
export const TEXTS: Shape & { readonly values: Leaf } = { values: TEXT }
const TIME_PATTERN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
export const TIME: Leaf = {
  is: (value) => typeof value === 'string' && TIME_PATTERN.test(value) && !Number.isNaN(Date.parse(value)),
  name: 'a time (ISO 8601, UTC, milliseconds)',
  schema: { type: 'string', format: 'date-time', pattern: TIME_PATTERN.source },
}
export const SHA256: Leaf = matching(/^[0-9a-f]{64}$/, 'a SHA-256')
