/** Finds out what the octets of a message are. Pure. */

/** What the octets of a message are, whatever its sender announced. */
export interface OctetFacts {
  readonly has8Bit: boolean
  /** All octets are in lines of at most 998 octets that end in CRLF, without NUL. */
  readonly hasLines: boolean
}

const LF = 10
const CR = 13
/** RFC 5322 2.1.1, without CRLF. */
const MAX_LINE_OCTETS = 998

/** Reads a message to learn what its octets are. */
export async function octetFacts(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<OctetFacts> {
  let has8Bit = false
  let hasLines = true
  let lineOctets = 0
  let isAfterCr = false
  for await (const piece of pieces) {
    for (const octet of piece) {
      if (octet > 127) has8Bit = true
      if ((octet === LF) !== isAfterCr || octet === 0 || lineOctets > MAX_LINE_OCTETS) hasLines = false
      isAfterCr = octet === CR
      if (octet === LF) lineOctets = 0
      else if (octet !== CR) lineOctets++
    }
    if (has8Bit && !hasLines) break
  }
  return { has8Bit, hasLines: hasLines && lineOctets === 0 && !isAfterCr }
}
