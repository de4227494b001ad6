/** A message that is known as a whole: its bytes as they are sent, and what they need of the server. */
import type { MessageFacts } from './plan.ts'
import { TextWriter } from './text-writer.ts'

export interface Content {
  /** The bytes in order, without dot-stuffing. */
  readonly pieces: readonly Uint8Array[]
  readonly facts: MessageFacts & { readonly octets: number }
}

const LF = 10
const CR = 13
/** RFC 5322 2.1.1, without CRLF. */
const MAX_LINE_OCTETS = 998
const HIGH_BITS = 0x80808080 | 0
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @param isBinary Leaves the bytes as they are. Otherwise every line gets CRLF */
export function contentOf(bytes: Uint8Array, isBinary: boolean): Content {
  const writer = new TextWriter(false)
  const pieces = isBinary ? [bytes] : [writer.write(bytes), writer.end()].filter(({ length }) => length > 0)
  const octets = pieces.reduce((sum, { length }) => sum + length, 0)
  const firstHigh = firstHighOctet(bytes)
  const has8Bit = firstHigh < bytes.length
  const headerEnd = has8Bit ? endOfHeader(bytes) : 0
  const hasUtf8Header = firstHigh < headerEnd && isUtf8(bytes.subarray(0, headerEnd))
  return { pieces, facts: { octets, has8Bit, hasUtf8Header, ...(isBinary && { hasLines: hasLines(bytes) }) } }
}

/** Returns whether the bytes could be text: each line ends in CRLF, and has at most 998 octets and no NUL, CR or LF. */
function hasLines(bytes: Uint8Array): boolean {
  let start = 0
  while (start < bytes.length) {
    const end = bytes.indexOf(LF, start) - 1
    if (end < start || bytes.indexOf(CR, start) !== end || end - start > MAX_LINE_OCTETS) return false
    start = end + 2
  }
  return !bytes.includes(0)
}

/** Returns the position of the first octet from 128 on, or the length. Looks at four octets at a time. */
function firstHighOctet(bytes: Uint8Array): number {
  const { length } = bytes
  let i = 0
  const aligned = Math.min(length, -bytes.byteOffset & 3)
  while (i < aligned && (bytes[i] as number) < 128) i++
  if (i < aligned) return i
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + aligned, (length - aligned) >> 2)
  let word = 0
  while (word < words.length && ((words[word] as number) & HIGH_BITS) === 0) word++
  i = aligned + word * 4
  while (i < length && (bytes[i] as number) < 128) i++
  return i
}

/** Returns where the first empty line begins. */
function endOfHeader(bytes: Uint8Array): number {
  let start = 0
  for (;;) {
    if (bytes[start] === LF || (bytes[start] === CR && bytes[start + 1] === LF)) return start
    const lf = bytes.indexOf(LF, start)
    if (lf < 0) return bytes.length
    start = lf + 1
  }
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes)
    return true
  } catch {
    return false
  }
}
