/**
 * Reads a server's replies: RFC 5321 4.2. The server is a stranger, so lines, their number and their octets have bounds.
 * If a line is whole in the input, the reader reads it there. It copies a line only if the end of the input cuts it.
 * Only CRLF ends a line. A CR, LF or NUL anywhere else is a fault, because the two sides could take what follows for different
 * replies.
 */
import { asciiText, KIND, kindsOf } from '../bytes/ascii.ts'
import { type ServerReply, serverReply } from './server-reply.ts'

export interface ReplyLimits {
  /** Octets of one line, CRLF included. RFC 5321 4.5.3.1.5 has 512. */
  readonly maxReplyLineOctets: number
  /** Lines of one reply, that to EHLO included. */
  readonly maxReplyLines: number
  /** Octets of one reply. */
  readonly maxReplyOctets: number
}

/** What a server sent is no reply. */
export interface ReplyFault {
  readonly fault: string
}

const LF = 10
const CR = 13
const SPACE = 32
const HYPHEN = 45
const ZERO = 48
const EMPTY: Uint8Array = new Uint8Array(0)
/** Longer lines go to TextDecoder. */
const MAX_SHORT_OCTETS = 128

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class ReplyReader {
  readonly #limits: ReplyLimits
  #input = EMPTY
  #position = 0
  /** The beginning of a line that the end of an earlier input cut. */
  #held = EMPTY
  #heldOctets = 0
  /** The lines of the reply in progress. */
  #texts: string[] = []
  #code = 0
  #octets = 0
  #fault: ReplyFault | undefined

  constructor(limits: ReplyLimits) {
    this.#limits = limits
  }

  /** True if the server has sent something that no reply has used up. */
  get hasInput(): boolean {
    return this.hasUnread || this.#heldOctets > 0 || this.#texts.length > 0
  }

  /** True if `next` has not looked at all that was received. */
  get hasUnread(): boolean {
    return this.#position < this.#input.length
  }

  /** Takes received bytes. The caller calls it only after `next` returned undefined. */
  receive(bytes: Uint8Array): void {
    this.#input = bytes
    this.#position = 0
  }

  /** Returns the next reply, or undefined if the reader needs more bytes. After a fault it returns only that. */
  next(): ServerReply | ReplyFault | undefined {
    while (this.#fault === undefined) {
      const input = this.#input
      const from = this.#position
      const lf = input.indexOf(LF, from)
      const end = lf < 0 ? input.length : lf + 1
      const octets = this.#heldOctets + end - from
      const { maxReplyLineOctets, maxReplyOctets } = this.#limits
      if (octets > maxReplyLineOctets) return this.#fail(`a reply line is longer than ${maxReplyLineOctets} octets`)
      if (this.#octets + octets > maxReplyOctets) return this.#fail(`a reply is longer than ${maxReplyOctets} octets`)
      this.#position = end
      if (lf < 0) {
        this.#hold(input, from, end)
        this.#input = EMPTY
        this.#position = 0
        return undefined
      }
      const reply = this.#heldOctets === 0 ? this.#line(input, from, end) : this.#heldLine(input, from, end)
      if (reply !== undefined) return reply
    }
    return this.#fault
  }

  #heldLine(input: Uint8Array, from: number, end: number): ServerReply | ReplyFault | undefined {
    this.#hold(input, from, end)
    const octets = this.#heldOctets
    this.#heldOctets = 0
    return this.#line(this.#held, 0, octets)
  }

  /** Reads a line with its line ending. Returns a reply if the line is the last one. */
  #line(bytes: Uint8Array, start: number, end: number): ServerReply | ReplyFault | undefined {
    const textEnd = end - 2
    if (bytes[textEnd] !== CR || textEnd < start) return this.#fail('a reply line has a bare LF')
    const code = codeAt(bytes, start, textEnd)
    const separator = textEnd > start + 3 ? bytes[start + 3] : SPACE
    if (code === undefined || (separator !== SPACE && separator !== HYPHEN)) {
      return this.#fail('a reply line does not begin with a code from 200 to 599')
    }
    if (this.#texts.length > 0 && code !== this.#code) return this.#fail('the lines of a reply have different codes')
    const text = textOf(bytes, Math.min(start + 4, textEnd), textEnd)
    if (text === undefined) return this.#fail('a reply line has a NUL or a bare CR')
    this.#code = code
    this.#octets += end - start
    this.#texts.push(text)
    if (separator === HYPHEN) {
      const { maxReplyLines } = this.#limits
      return this.#texts.length < maxReplyLines ? undefined : this.#fail(`a reply has more than ${maxReplyLines} lines`)
    }
    const texts = this.#texts
    this.#texts = []
    this.#octets = 0
    return serverReply(code, texts)
  }

  #fail(fault: string): ReplyFault {
    this.#input = this.#held = EMPTY
    this.#fault = { fault }
    return this.#fault
  }

  #hold(bytes: Uint8Array, start: number, end: number): void {
    const octets = this.#heldOctets + end - start
    if (octets > this.#held.length) {
      const grown = new Uint8Array(Math.min(this.#limits.maxReplyLineOctets, Math.max(64, octets * 2)))
      grown.set(this.#held.subarray(0, this.#heldOctets))
      this.#held = grown
    }
    this.#held.set(bytes.subarray(start, end), this.#heldOctets)
    this.#heldOctets = octets
  }
}

/** Returns a code from 200 to 599; undefined for anything else. */
function codeAt(bytes: Uint8Array, start: number, end: number): number | undefined {
  if (end < start + 3) return undefined
  let code = 0
  for (let i = start; i < start + 3; i++) {
    const digit = (bytes[i] as number) - ZERO
    if (digit < 0 || digit > 9) return undefined
    code = code * 10 + digit
  }
  return code >= 200 && code < 600 ? code : undefined
}

/** Decodes the text of a line, and makes it printable. Returns undefined if it has a NUL or a CR. */
function textOf(bytes: Uint8Array, start: number, end: number): string | undefined {
  const kinds = kindsOf(bytes, start, end)
  if ((kinds & (KIND.high | KIND.control)) === 0 && end - start <= MAX_SHORT_OCTETS) return asciiText(bytes, start, end)
  const line = bytes.subarray(start, end)
  if ((kinds & KIND.control) !== 0 && (line.includes(0) || line.includes(CR))) return undefined
  let text: string
  try {
    text = decoder.decode(line)
  } catch {
    text = String.fromCharCode(...line).replace(/[^\x09\x20-\x7e]/g, '?')
  }
  return text.replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]/g, '?')
}
