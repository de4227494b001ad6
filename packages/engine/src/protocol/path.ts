/**
 * Paths and host names: RFC 5321 4.1.2 (Mailbox, Path), 4.1.3 (address literals), RFC 6531 3.3 (non-ASCII).
 *
 * Almost every path is `<dot-string@domain>` in ASCII, and one walk over it reads it. The rest of the grammar (source routes, quoted
 * local parts, literals) is read by small functions that take a position and give the next one.
 *
 * Lengths are bounded by the command line alone: RFC 5321 4.5.3.1 asks for no limits of 64 and 255 where none are needed.
 */
import type { AddressLiteral, Path } from './envelope.ts'

export interface ParsedPath {
  readonly path: Path
  /** Where the path ends in the text: behind its closing bracket. */
  readonly end: number
  /** Whether it can only be sent under SMTPUTF8. */
  readonly international: boolean
}

/** The whole of 'atext' with RFC 6531's addition; U+0080 to U+009F are controls and stay out. */
const ATEXT = "A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~\\u{a0}-\\u{10ffff}"
/** A label. Underscores are not in the grammar and are in the field; they can hide nothing. */
const LABEL = '[A-Za-z0-9_\\u{a0}-\\u{10ffff}](?:[A-Za-z0-9_\\-\\u{a0}-\\u{10ffff}]*[A-Za-z0-9_\\u{a0}-\\u{10ffff}])?'
const DOT_STRING = `[${ATEXT}]+(?:\\.[${ATEXT}]+)*`
const DOMAIN = `${LABEL}(?:\\.${LABEL})*`

const LESS = 60
const GREATER = 62
const AT_SIGN = 64
const HYPHEN = 45
const DOT = 46
/** What an ASCII octet may be part of, as bits: an atom of a local part, a label of a domain. */
const ATOM = 1
const LABEL_OCTET = 2
const PATH_KINDS: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const octet = String.fromCharCode(code)
  return (/[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]/.test(octet) ? ATOM : 0) | (/[A-Za-z0-9-]/.test(octet) ? LABEL_OCTET : 0)
})

const DOT_STRING_AT = new RegExp(DOT_STRING, 'uy')
const DOMAIN_AT = new RegExp(DOMAIN, 'uy')
const SOURCE_ROUTE_AT = new RegExp(`@${DOMAIN}(?:,@${DOMAIN})*:`, 'uy')
/** quoted-pair takes any printable ASCII; qtextSMTP all but quote and backslash. */
const QUOTED_STRING_AT = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e\u{a0}-\u{10ffff}]|\\[\x20-\x7e])*)"/uy
const LITERAL_AT = /\[([\x21-\x5a\x5e-\x7e]+)\]/y
const HOST_NAME = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/
// Without brackets, a path ends at the first blank; and the grammar inside it is the same.
const BARE_PATH_AT = /[^\s<>]+/y

/** The null reverse-path, `<>`. */
const NULL_PATH: Path = { address: '', localPart: '', domain: '' }

/**
 * Reads a path in angle brackets at `start`; `lenient` also takes blanks before it, and no brackets.
 * undefined where there is none; 'no-brackets' where only the brackets are missing.
 */
export function parsePath(text: string, start: number, lenient: boolean): ParsedPath | 'no-brackets' | undefined {
  const simple = parseSimplePath(text, start)
  if (simple !== undefined) return simple
  let open = start
  if (lenient) while (text[open] === ' ' || text[open] === '\t') open++
  if (text[open] === '<') {
    const mailbox = parseMailbox(text, open + 1)
    return mailbox !== undefined && text[mailbox.end] === '>' ? { ...mailbox, end: mailbox.end + 1 } : undefined
  }
  if (!lenient) return 'no-brackets'
  const bare = matchAt(BARE_PATH_AT, text, open)
  if (bare === null) return undefined
  const mailbox = parseMailbox(text, open)
  return mailbox !== undefined && mailbox.end === open + bare[0].length ? mailbox : undefined
}

/** `<dot-string@domain>` in ASCII, where it is one without doubt. */
function parseSimplePath(text: string, start: number): ParsedPath | undefined {
  if (text.charCodeAt(start) !== LESS) return undefined
  const at = dottedEnd(text, start + 1, ATOM)
  if (text.charCodeAt(at) !== AT_SIGN) return undefined
  const end = dottedEnd(text, at + 1, LABEL_OCTET)
  if (text.charCodeAt(end) !== GREATER || text.charCodeAt(at + 1) === HYPHEN || text.charCodeAt(end - 1) === HYPHEN) {
    return undefined
  }
  const path = {
    address: text.slice(start + 1, end),
    localPart: text.slice(start + 1, at),
    domain: text.slice(at + 1, end),
  }
  return { path, end: end + 1, international: false }
}

/** Where a run of these octets ends, single dots between them; or -1 where there is none, or a dot has no neighbour. */
function dottedEnd(text: string, start: number, kind: number): number {
  let end = start
  let wasDot = true
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end)
    if (code === DOT) {
      if (wasDot) return -1
      wasDot = true
    } else if (code < 128 && ((PATH_KINDS[code] as number) & kind) !== 0) wasDot = false
    else break
  }
  return wasDot ? -1 : end
}

/** What may stand between the brackets, the empty path and a local part alone included. */
function parseMailbox(text: string, start: number): ParsedPath | undefined {
  if (text[start] === '>') return { path: NULL_PATH, end: start, international: false }
  const route = matchAt(SOURCE_ROUTE_AT, text, start)
  const from = start + (route?.[0].length ?? 0)

  const quoted = matchAt(QUOTED_STRING_AT, text, from)
  const local = quoted ?? matchAt(DOT_STRING_AT, text, from)
  if (local === null) return undefined
  const localPart = quoted === null ? local[0] : (quoted[1] as string).replace(/\\(.)/gu, '$1')
  let end = from + local[0].length
  if (text[end] !== '@') {
    if (route !== null) return undefined
    return finish(text.slice(from, end), localPart, '', end)
  }

  end++
  const domain = matchAt(DOMAIN_AT, text, end)
  if (domain !== null) {
    return finish(text.slice(from, end + domain[0].length), localPart, domain[0], end + domain[0].length)
  }
  const bracketed = matchAt(LITERAL_AT, text, end)
  if (bracketed === null) return undefined
  const literal = parseAddressLiteral(bracketed[0])
  if (literal === undefined) return undefined
  end += bracketed[0].length
  return finish(text.slice(from, end), localPart, bracketed[0], end, literal)
}

function finish(address: string, localPart: string, domain: string, end: number, literal?: AddressLiteral): ParsedPath {
  const path = literal === undefined ? { address, localPart, domain } : { address, localPart, domain, literal }
  return { path, end, international: /[^\x00-\x7f]/.test(address) }
}

/** Reads `[192.0.2.1]`, `[IPv6:2001:db8::1]` or `[tag:content]`, brackets included. undefined where it is none of them. */
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

/** Whether this may stand behind HELO or EHLO (RFC 5321 4.1.1.1): a domain or an address literal. */
export function isHelloName(text: string): boolean {
  return HOST_NAME.test(text) || parseAddressLiteral(text) !== undefined
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
}

/** The eight groups of an IPv6 address (RFC 4291 2.2), or undefined where it is none. */
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

function matchAt(pattern: RegExp, text: string, position: number): RegExpExecArray | null {
  pattern.lastIndex = position
  return pattern.exec(text)
}
