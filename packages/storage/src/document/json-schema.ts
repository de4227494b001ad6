/** JSON Schema (2020-12) of a shape. */
import type { JsonSchema, Shape } from '../record/shape.ts'

/** Other fields are allowed, because a newer version may have more. */
export function jsonSchemaOf(shape: Shape): JsonSchema {
  if ('maybe' in shape) return jsonSchemaOf(shape.maybe)
  if ('is' in shape) return shape.schema
  if ('each' in shape) return { type: 'array', items: jsonSchemaOf(shape.each) }
  if ('values' in shape) return { type: 'object', additionalProperties: jsonSchemaOf(shape.values) }
  const fields = Object.entries(shape.fields)
  return {
    type: 'object',
    required: fields.filter(([, field]) => !('maybe' in field)).map(([name]) => name),
    properties: Object.fromEntries(fields.map(([name, field]) => [name, jsonSchemaOf(field)])),
  }
}
