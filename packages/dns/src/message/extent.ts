/**
 * Where the records of a message end (RFC 1035 4.1). The codec reads a message that is cut off as if it were complete, and a TLSA
 * record that ends too early as a shorter one. So the lengths are checked before it runs.
 */

export const HEADER_BYTES = 12
/** Its type and class. */
const QUESTION_BYTES = 4
/** Type, class, TTL and the length of the data. */
const RECORD_BYTES = 10
const POINTER = 0xc0

/** Returns the end of so many records behind one question; undefined if the message ends before them. */
export function recordsEnd(bytes: Uint8Array, records: number): number | undefined {
  let at = nameEnd(bytes, HEADER_BYTES) + QUESTION_BYTES
  for (let left = records; left > 0; left--) {
    const head = nameEnd(bytes, at)
    at = head + RECORD_BYTES
    if (at > bytes.length) return undefined
    at += ((bytes[head + 8] ?? 0) << 8) | (bytes[head + 9] ?? 0)
  }
  return at > bytes.length ? undefined : at
}

/** Returns the end of a name, which may be behind the end of the message. */
function nameEnd(bytes: Uint8Array, start: number): number {
  let at = start
  while (at < bytes.length) {
    const length = bytes[at] ?? 0
    if (length === 0) return at + 1
    if (length >= POINTER) return at + 2
    at += 1 + length
  }
  return Infinity
}
