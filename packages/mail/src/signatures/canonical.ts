/** The octets of header fields that a signature covers. */
import { type RawField, relaxed } from './raw-header.ts'

/** The form in which the octets are hashed (RFC 6376 3.4). */
export type Canonicalization = 'simple' | 'relaxed'

/** Returns the signed fields, each with its CRLF. Of several with one name, the last one comes first (RFC 6376 5.4.2). */
export function canonicalFields(
  fields: readonly RawField[],
  names: readonly string[],
  form: Canonicalization = 'relaxed',
): string {
  const signed = new Set(names)
  const left = new Map<string, RawField[]>()
  for (const field of fields) {
    if (!signed.has(field.name)) continue
    const same = left.get(field.name)
    if (same === undefined) left.set(field.name, [field])
    else same.push(field)
  }
  return names
    .map((name) => left.get(name)?.pop())
    .filter((field) => field !== undefined)
    .map((field) => `${canonicalField(field, form)}\r\n`)
    .join('')
}

/** Returns a field without its line end. */
export function canonicalField(field: RawField, form: Canonicalization): string {
  return form === 'relaxed' ? relaxed(field) : field.text
}

/** Returns the field of a signature with nothing behind `b=` (RFC 6376 3.7). */
export function withoutSignature(field: RawField): RawField {
  const { name, text } = field
  for (let start = text.indexOf(':') + 1; start > 0 && start < text.length;) {
    const semicolon = text.indexOf(';', start)
    const end = semicolon === -1 ? text.length : semicolon
    const equals = text.indexOf('=', start)
    if (equals !== -1 && equals < end && text.slice(start, equals).trim() === 'b') {
      return { name, text: text.slice(0, equals + 1) + text.slice(end) }
    }
    start = end + 1
  }
  return field
}
