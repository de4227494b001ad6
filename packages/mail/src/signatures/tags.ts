/** Tag-lists (RFC 6376 3.2): of signatures, and of records in DNS. */

/** No real list has more. */
const MAX_TAGS = 50

/** Reads a tag-list. @returns undefined if it is none, or has a tag twice */
export function parseTags(text: string): ReadonlyMap<string, string> | undefined {
  const tags = new Map<string, string>()
  const parts = text.split(';', MAX_TAGS + 1).map((part) => part.trim())
  if (parts.at(-1) === '') parts.pop()
  for (const part of parts) {
    const equals = part.indexOf('=')
    const name = part.slice(0, Math.max(0, equals)).trim()
    if (!/^[A-Za-z]\w{0,30}$/.test(name) || tags.has(name)) return undefined
    tags.set(name, part.slice(equals + 1).trim())
  }
  return tags.size === 0 || tags.size > MAX_TAGS ? undefined : tags
}
