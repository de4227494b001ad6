/**
 * Replies: RFC 5321 4.2 (form), RFC 2034 and 3463 (enhanced codes). A refusal is a value, not an exception: hooks return a
 * Reply.
 * A reply's text may come from anywhere, so `reply` makes it safe. No control byte is sent, and no line is longer than RFC 5321
 * 4.5.3.1.5 allows.
 */

import { brandOf, isBranded } from '../../copies.ts'
import { allocate, encodeAscii } from '../bytes/octets.ts'

/** RFC 5321 4.5.3.1.5 allows 512 octets with CRLF. This leaves text behind `250-5.1.1 `, with some reserve. */
const MAX_TEXT_OCTETS = 490
/** No reply needs more lines. It bounds how much a hook can make the server send. */
const MAX_LINES = 100

/** A reply to a command. Make one with {@link reply}. */
export interface Reply {
  /** RFC 5321 4.2.1. */
  readonly code: number
  /** RFC 3463 `class.subject.detail`; '' in a reply that has none (greeting, HELO, EHLO, 354, 334). */
  readonly enhancedCode: string
  readonly lines: readonly string[]
  /** The reply as it is sent, CRLF included. */
  readonly wire: string
  /** The same as octets. Do not change them. */
  readonly octets: Uint8Array
}

const encoder = new TextEncoder()
/** On every {@link Reply}, whichever copy of the engine made it. */
const BRAND = brandOf('reply')

class WireReply implements Reply {
  readonly code: number
  readonly enhancedCode: string
  readonly lines: readonly string[]
  readonly wire: string
  #octets: Uint8Array | undefined
  #wasSaid = false

  static {
    Object.defineProperty(WireReply.prototype, BRAND, { value: true })
  }

  constructor(code: number, enhancedCode: string, lines: readonly string[]) {
    this.code = code
    this.enhancedCode = enhancedCode
    this.lines = lines
    const lead = enhancedCode === '' ? '' : `${enhancedCode} `
    let wire = ''
    for (let i = 0; i < lines.length; i++) {
      wire += `${code}${i === lines.length - 1 ? ' ' : '-'}${lead}${lines[i]}\r\n`
    }
    this.wire = wire
  }

  /**
   * Encodes the reply. Keeps the octets from the second call on: a reply that is sent twice is sent often, but one that names a
   * message is sent once.
   */
  get octets(): Uint8Array {
    if (this.#octets !== undefined) return this.#octets
    if (this.#wasSaid) return (this.#octets = encoder.encode(this.wire))
    this.#wasSaid = true
    return encodeAscii(this.wire)
  }
}

/** Returns whether a hook answered with a {@link Reply}. An object that only looks like a reply is not one. */
export function isReply(value: unknown): value is Reply {
  return toReply(value) !== undefined
}

/** Returns the value if {@link reply} made it. If another copy of the engine did, this copy makes it again. Otherwise undefined. */
export function toReply(value: unknown): Reply | undefined {
  // The value may be a hook's Proxy, whose traps throw.
  try {
    if (value instanceof WireReply) return value
    if (!isBranded(value, BRAND)) return undefined
    const { code, enhancedCode, lines } = value as Reply
    const made = reply(code, enhancedCode, lines)
    // Another copy has made the text safe too. If it changes now, something is wrong with it.
    return String(made.lines) === String(lines) ? made : undefined
  } catch {
    return undefined
  }
}

/**
 * Makes a {@link Reply}.
 *
 * @param code 200 to 599.
 * @param enhancedCode `class.subject.detail` whose class is the first digit of `code`, or '' for none.
 * @param text One line, or several: each element, and each line inside an element, is a line of the reply.
 * @throws RangeError when `code` or `enhancedCode` cannot stand in a reply: a bug in the caller.
 */
export function reply(code: number, enhancedCode: string, text: string | readonly string[]): Reply {
  if (!Number.isInteger(code) || code < 200 || code > 599) {
    throw new RangeError(`reply code: ${code} is not a whole number from 200 to 599`)
  }
  if (enhancedCode !== '' && !(/^[245]\.\d{1,3}\.\d{1,3}$/.test(enhancedCode) && enhancedCode[0] === String(code)[0])) {
    throw new RangeError(`enhanced code: ${JSON.stringify(enhancedCode)} does not fit reply code ${code}`)
  }
  const lines = typeof text === 'string' && isOneLine(text) ? [text] : safeLines(text)
  return new WireReply(code, enhancedCode, lines)
}

/** Makes a reply without checks, for text that is known to be one line of printable ASCII. */
export function replyAsIs(code: number, enhancedCode: string, text: string): Reply {
  return new WireReply(code, enhancedCode, [text])
}

/** Returns whether a text is one line of printable ASCII, as most are. Such a text is already safe. */
function isOneLine(text: string): boolean {
  return text.length <= MAX_TEXT_OCTETS && /^[\x20-\x7e]*$/.test(text)
}

function safeLines(text: string | readonly string[]): readonly string[] {
  const lines = (typeof text === 'string' ? [text] : text)
    .flatMap((line) => line.split(/\r\n|\r|\n/))
    .slice(0, MAX_LINES)
    .map((line) => printable(line))
  return lines.length === 0 ? [''] : lines
}

/**
 * Makes text safe for a reply: replaces everything but printable ASCII with '?', and cuts it to `maxLength` octets. Replies
 * stay ASCII. RFC 6531 3.7.4.2 allows more only for a client that asked for SMTPUTF8, and that client has no use for it.
 */
export function printable(text: string, maxLength: number = MAX_TEXT_OCTETS): string {
  const cut = text.length > maxLength ? text.slice(0, maxLength) : text
  return cut.replace(/[^\x20-\x7e]/g, '?')
}

/**
 * Joins replies as they are sent.
 * @param octets The octets of all of them
 */
export function joinReplies(replies: readonly Reply[], octets: number): Uint8Array {
  const joined = allocate(octets)
  let at = 0
  for (const each of replies) {
    joined.set(each.octets, at)
    at += each.wire.length
  }
  return joined
}
