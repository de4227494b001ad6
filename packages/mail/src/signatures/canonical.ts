/** The octets of header fields that a signature covers. */
import { type RawField, relaxed } from './raw-header.ts'

/** Returns the signed fields in relaxed form. Of several with one name, the last one comes first (RFC 6376 5.4.2). */
export function canonicalFields(fields: readonly RawField[], names: readonly string[]): string {
  const left = new Map<string, RawField[]>()
  for (const field of fields) {
    const same = left.get(field.name)
    if (same === undefined) left.set(field.name, [field])
    else same.push(field)
  }
  return names
    .map((name) => left.get(name)?.pop())
    .filter((field) => field !== undefined)
    .map((field) => `${relaxed(field)}\r\n`)
    .join('')
}
