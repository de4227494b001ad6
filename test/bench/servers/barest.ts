/**
 * The barest SMTP server there can be, as a ceiling to measure others by: it accepts everything, checks nothing, keeps nothing,
 * and answers with replies that were made before. Each runtime's own file gives it sockets.
 */

/** Where `CRLF . CRLF` begins at or after `from`, or -1. */
export type FindEnd = (bytes: Uint8Array, from: number) => number

/** What was read, and what to do about it. */
export interface Answer {
  readonly bytes: Uint8Array | undefined
  /** The connection ends behind it. */
  readonly isLast: boolean
  /** A TLS handshake follows. */
  readonly startsTls: boolean
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

const REPLIES = {
  ehlo: encode(
    '250-barest\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-AUTH PLAIN\r\n250-STARTTLS\r\n250 SIZE 104857600\r\n',
  ),
  ok: encode('250 2.0.0 OK\r\n'),
  data: encode('354 End data with <CR><LF>.<CR><LF>\r\n'),
  auth: encode('235 2.7.0 OK\r\n'),
  ready: encode('220 2.0.0 Ready\r\n'),
  bye: encode('221 2.0.0 Bye\r\n'),
} as const

/** What a connection begins with. */
export const GREETING: Uint8Array = encode('220 barest ESMTP\r\n')

/** The first letter of what is answered in a way of its own. */
const LETTER = { a: 65, b: 66, d: 68, e: 69, q: 81, s: 83, zero: 48, nine: 57 } as const
const LF = 10
const CR = 13
const DOT = 46
const END_OF_DATA = encode('\r\n.\r\n')
const MAX_TAIL_BYTES = END_OF_DATA.length - 1
const EMPTY = new Uint8Array(0)
const NOTHING: Answer = { bytes: undefined, isLast: false, startsTls: false }

/** One connection. */
export class Machine {
  readonly #findEnd: FindEnd
  /** The beginning of a command. */
  #line: Uint8Array = EMPTY
  /** The text's last bytes, which may be the beginning of its end. */
  #tail: Uint8Array = EMPTY
  #inText = false
  /** Bytes of a chunk that have not come yet (BDAT). */
  #chunkBytes = 0

  constructor(findEnd: FindEnd) {
    this.#findEnd = findEnd
  }

  /** Text is what comes next. */
  get inText(): boolean {
    return this.#inText
  }

  /** Reads what was received. The view may be changed afterwards. */
  take(received: Uint8Array): Answer {
    const bytes = this.#line.length === 0 ? received : joined([this.#line, received])
    this.#line = EMPTY
    const replies: Uint8Array[] = []
    let isLast = false
    let startsTls = false
    let at = 0
    while (at < bytes.length) {
      if (this.#inText) {
        const end = this.#endOfText(bytes, at)
        if (end === -1) break
        at = end
        replies.push(REPLIES.ok)
        continue
      }
      if (this.#chunkBytes > 0) {
        const taken = Math.min(this.#chunkBytes, bytes.length - at)
        this.#chunkBytes -= taken
        at += taken
        if (this.#chunkBytes === 0) replies.push(REPLIES.ok)
        continue
      }
      const end = bytes.indexOf(LF, at)
      if (end === -1) {
        this.#line = bytes.slice(at)
        break
      }
      switch (bytes[at]) {
        case LETTER.e:
          replies.push(REPLIES.ehlo)
          break
        case LETTER.d:
          this.#inText = true
          replies.push(REPLIES.data)
          break
        case LETTER.b:
          this.#chunkBytes = numberIn(bytes, at)
          break
        case LETTER.a:
          replies.push(REPLIES.auth)
          break
        case LETTER.s:
          startsTls = true
          replies.push(REPLIES.ready)
          break
        case LETTER.q:
          isLast = true
          replies.push(REPLIES.bye)
          break
        default:
          replies.push(REPLIES.ok)
      }
      at = end + 1
    }
    if (replies.length === 0) return NOTHING
    return { bytes: replies.length === 1 ? replies[0] : joined(replies), isLast, startsTls }
  }

  /** Where the text that goes on at `from` is over, or -1. */
  #endOfText(bytes: Uint8Array, from: number): number {
    const tail = this.#tail
    this.#tail = EMPTY
    if (tail.length > 0) {
      const seam = joined([tail, bytes.subarray(from, from + MAX_TAIL_BYTES)])
      const end = findByHand(seam, 0)
      if (end !== -1) return this.#endAt(from + end - tail.length)
    }
    const end = this.#findEnd(bytes, from)
    if (end !== -1) return this.#endAt(end)
    const last = bytes.subarray(Math.max(from, bytes.length - MAX_TAIL_BYTES))
    // So short a piece that the one before it counts too.
    this.#tail = last.length < MAX_TAIL_BYTES ? joined([tail, last]).slice(-MAX_TAIL_BYTES) : last.slice()
    return -1
  }

  #endAt(end: number): number {
    this.#inText = false
    return end + END_OF_DATA.length
  }
}

/** The number in `BDAT 1234 LAST`. */
function numberIn(bytes: Uint8Array, from: number): number {
  let value = 0
  for (let at = from + 'BDAT '.length; ; at++) {
    const octet = bytes[at] ?? 0
    if (octet < LETTER.zero || octet > LETTER.nine) return value
    value = value * 10 + octet - LETTER.zero
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** For runtimes whose `Buffer` looks for several bytes at once. */
export function findWithBuffer(bytes: Uint8Array, from: number): number {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return buffer.indexOf('\r\n.\r\n', from, 'latin1')
}

/** For runtimes whose `Buffer` is slower than this: from one possible last octet to the next (Horspool's search). */
export function findByHand(bytes: Uint8Array, from: number): number {
  let last = from + END_OF_DATA.length - 1
  while (last < bytes.length) {
    const octet = bytes[last] as number
    if (octet > DOT) last += 5
    else if (octet === LF) {
      if (bytes[last - 1] === CR && bytes[last - 2] === DOT && bytes[last - 3] === LF && bytes[last - 4] === CR) {
        return last - 4
      }
      last += 3
    } else if (octet === CR) last += 1
    else if (octet === DOT) last += 2
    else last += 5
  }
  return -1
}
