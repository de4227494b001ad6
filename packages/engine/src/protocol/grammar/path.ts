/**
 * Paths and host names: RFC 5321 4.1.2 (Mailbox, Path), 4.1.3 (address literals), RFC 6531 3.3 (non-ASCII).
 *
 * Each function takes a position and returns where its part of the grammar ends, or -1. MAIL, RCPT, HELO and EHLO share them,
 * so all four accept the same names. No function reads a character twice, because a line may be 64 KiB long.
 *
 * Only the length of the command line bounds a path. RFC 5321 4.5.3.1 does not require the limits of 64 and 255 if an
 * implementation does not need them.
 */
import type { AddressLiteral, Path } from './envelope.ts'

export interface ParsedPath {
  readonly path: Path
  /** The end of the path in the text: behind its closing bracket. */
  readonly end: number
  /** True if the path can be sent only under SMTPUTF8. */
  readonly international: boolean
}

/** A path whose closing bracket is not read yet. */
type Mailbox = { -readonly [Field in keyof ParsedPath]: ParsedPath[Field] }

const TAB = 9
const SPACE = 32
const QUOTE = 34
const COMMA = 44
const HYPHEN = 45
const DOT = 46
const COLON = 58
const LESS = 60
const GREATER = 62
const AT_SIGN = 64
const OPEN_BRACKET = 91
const BACKSLASH = 92
const CLOSE_BRACKET = 93
/** From here on every code unit may be part of a name (RFC 6531 3.3). U+0080 to U+009F are controls. */
const FIRST_INTERNATIONAL = 0xa0

/** The parts that an ASCII octet may belong to, as bits: an atom of a local part, a label of a domain, an address literal. */
const ATOM = 1
/** The grammar allows no underscore. Real names have it, and it hides nothing. */
const LABEL = 2
const LITERAL = 4
const KINDS: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const octet = String.fromCharCode(code)
  const isAtom = /[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]/.test(octet)
  const isLabel = /[A-Za-z0-9_-]/.test(octet)
  const isLiteral = /[\x21-\x5a\x5e-\x7e]/.test(octet)
  return (isAtom ? ATOM : 0) | (isLabel ? LABEL : 0) | (isLiteral ? LITERAL : 0)
})

/** The null reverse-path, `<>`. */
const NULL_PATH: Path = { address: '', localPart: '', domain: '' }

/**
 * Parses a path in angle brackets at `start`. Skips blanks in front of it, which hide nothing.
 * @param lenient Also accepts an untidy path: no brackets, blanks inside them, dots at an end of the local part or beside one
 *   another, a dot behind the domain, which `domain` leaves out. All but the blanks is kept as written in `address`.
 * @returns undefined if there is no path; 'no-brackets' if only the brackets are missing.
 */
export function parsePath(text: string, start: number, lenient: boolean): ParsedPath | 'no-brackets' | undefined {
  const open = blanksEnd(text, start)
  if (text.charCodeAt(open) !== LESS) {
    if (!lenient) return 'no-brackets'
    return text.charCodeAt(open) === GREATER ? undefined : parseMailbox(text, open, lenient)
  }
  const from = lenient ? blanksEnd(text, open + 1) : open + 1
  if (text.charCodeAt(from) === GREATER) return { path: NULL_PATH, end: from + 1, international: false }
  const mailbox = parseMailbox(text, from, lenient)
  if (mailbox === undefined) return undefined
  const end = lenient ? blanksEnd(text, mailbox.end) : mailbox.end
  mailbox.end = end + 1
  return text.charCodeAt(end) === GREATER ? mailbox : undefined
}

/** Parses the text between the brackets, which may be a local part alone. */
function parseMailbox(text: string, start: number, lenient: boolean): Mailbox | undefined {
  const from = sourceRouteEnd(text, start)
  const isQuoted = text.charCodeAt(from) === QUOTE
  const at = isQuoted ? quotedStringEnd(text, from) : dotStringEnd(text, from, lenient)
  if (at < 0) return undefined
  const localPart = isQuoted ? unquoted(text.slice(from + 1, at - 1)) : text.slice(from, at)
  // Behind a source route a whole mailbox must follow.
  if (text.charCodeAt(at) !== AT_SIGN) return from === start ? parsed(text, from, at, localPart, '') : undefined
  if (text.charCodeAt(at + 1) === OPEN_BRACKET) {
    const end = literalEnd(text, at + 1)
    const literal = end < 0 ? undefined : parseAddressLiteral(text.slice(at + 1, end))
    return literal && parsed(text, from, end, localPart, text.slice(at + 1, end), literal)
  }
  const end = domainEnd(text, at + 1, lenient)
  if (end < 0) return undefined
  // Drops the dot of the root, because with it the name would not be equal to the same domain without it.
  const domain = text.slice(at + 1, text.charCodeAt(end - 1) === DOT ? end - 1 : end)
  return parsed(text, from, end, localPart, domain)
}

function parsed(
  text: string,
  start: number,
  end: number,
  localPart: string,
  domain: string,
  literal?: AddressLiteral,
): Mailbox {
  const address = text.slice(start, end)
  const path = literal === undefined ? { address, localPart, domain } : { address, localPart, domain, literal }
  return { path, end, international: !isAscii(address) }
}

function isAscii(text: string): boolean {
  return !/[^\x00-\x7f]/.test(text)
}

function isPart(code: number, kind: number): boolean {
  return code < 128 ? ((KINDS[code] as number) & kind) !== 0 : code >= FIRST_INTERNATIONAL
}

/** Returns where a Dot-string ends (RFC 5321 4.1.2), or -1 if there is none. If lenient, dots may stand anywhere. */
function dotStringEnd(text: string, start: number, lenient: boolean): number {
  let end = start
  let wasDot = !lenient
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code === DOT) {
      if (wasDot) return -1
      wasDot = !lenient
    } else if (isPart(code, ATOM)) wasDot = false
    else break
  }
  return wasDot || end === start ? -1 : end
}

/** Returns where a Domain ends (RFC 5321 4.1.2), or -1 if there is none. No label is empty, begins or ends with a hyphen. */
function domainEnd(text: string, start: number, lenient: boolean): number {
  let end = start
  /** A label may end with the last character. */
  let isLabelEnd = false
  let isLabelStart = true
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code === DOT) {
      if (!isLabelEnd) return -1
      isLabelEnd = false
      isLabelStart = true
    } else if (isPart(code, LABEL)) {
      if (isLabelStart && code === HYPHEN) return -1
      isLabelEnd = code !== HYPHEN
      isLabelStart = false
    } else break
  }
  // The domain may end with the dot of the root.
  return isLabelEnd || (lenient && isLabelStart && end > start) ? end : -1
}

/** Returns the position behind the closing quote of a Quoted-string (RFC 5321 4.1.2), or -1 if there is none. */
function quotedStringEnd(text: string, start: number): number {
  for (let end = start + 1; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code === QUOTE) return end + 1
    if (code === BACKSLASH) {
      const quoted = text.charCodeAt(++end)
      if (!(quoted >= SPACE && quoted < 127)) return -1
    } else if (code < SPACE || (code > 126 && code < FIRST_INTERNATIONAL)) return -1
  }
  return -1
}

/** Decodes quoted-pairs. */
function unquoted(content: string): string {
  return content.includes('\\') ? content.replace(/\\(.)/gu, '$1') : content
}

/** Returns where an address literal with its brackets ends, or -1 if there is none. */
function literalEnd(text: string, start: number): number {
  let end = start + 1
  while (end < text.length && text.charCodeAt(end) < 128 && isPart(text.charCodeAt(end), LITERAL)) end++
  return text.charCodeAt(end) === CLOSE_BRACKET && end > start + 1 ? end + 1 : -1
}

/**
 * Returns where the mailbox begins: behind `@one.example,@two.example:` (RFC 5321 4.1.2, A-d-l), or at `start` if there is no
 * route.
 */
function sourceRouteEnd(text: string, start: number): number {
  let at = start
  while (text.charCodeAt(at) === AT_SIGN) {
    const end = domainEnd(text, at + 1, false)
    if (end < 0) return start
    if (text.charCodeAt(end) === COLON) return end + 1
    if (text.charCodeAt(end) !== COMMA) return start
    at = end + 1
  }
  return start
}

function blanksEnd(text: string, start: number): number {
  let end = start
  while (text.charCodeAt(end) === SPACE || text.charCodeAt(end) === TAB) end++
  return end
}

/** Parses `[192.0.2.1]`, `[IPv6:2001:db8::1]` or `[tag:content]`, with the brackets. Returns undefined for any other text. */
export function parseAddressLiteral(text: string): AddressLiteral | undefined {
  if (!text.startsWith('[') || !text.endsWith(']')) return undefined
  const content = text.slice(1, -1)
  if (isIpv4(content)) return { family: 'ipv4', address: content }
  const general = /^([A-Za-z0-9-]*[A-Za-z0-9]):([\x21-\x5a\x5e-\x7e]+)$/.exec(content)
  if (general === null) return undefined
  const tag = general[1] as string
  const address = general[2] as string
  if (tag.toLowerCase() === 'ipv6') return ipv6Groups(address) === undefined ? undefined : { family: 'ipv6', address }
  return { family: 'general', address, tag }
}

/** Returns whether a name is allowed behind HELO or EHLO (RFC 5321 4.1.1.1): a domain or an address literal. */
export function isHelloName(text: string): boolean {
  if (text.charCodeAt(0) === OPEN_BRACKET) return parseAddressLiteral(text) !== undefined
  return text !== '' && domainEnd(text, 0, false) === text.length && isAscii(text)
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
}

/** Returns the eight groups of an IPv6 address (RFC 4291 2.2), or undefined if the text is not one. */
export function ipv6Groups(text: string): readonly number[] | undefined {
  let hex = text
  const lastColon = text.lastIndexOf(':')
  if (text.includes('.')) {
    const embedded = text.slice(lastColon + 1)
    if (!isIpv4(embedded)) return undefined
    const [a, b, c, d] = embedded.split('.').map(Number) as [number, number, number, number]
    hex = `${text.slice(0, lastColon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const halves = hex.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':'))) as [string[], string[] | undefined]
  const given = head.length + (tail?.length ?? 0)
  if (tail === undefined ? given !== 8 : given > 7) return undefined
  const groups = [...head, ...Array<string>(8 - given).fill('0'), ...(tail ?? [])]
  return groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))
    ? groups.map((g) => Number.parseInt(g, 16))
    : undefined
}
