/** Parses command lines: RFC 5321 4.1.1. Also recognises lines that belong to another protocol. */
import { isBlank, trimEnd, trimStart, upperCase } from '../bytes/ascii.ts'
import { isHelloName } from './path.ts'
import * as replies from './replies.ts'
import type { Reply } from './reply.ts'

/** A request line, or the beginning of one that is longer than a command may be. */
const HTTP_REQUEST = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) |^\S+ \S+ HTTP\/\d/
/** The same for the beginning of a line that is too long to be read whole, with any method. No command has such an argument. */
const LONG_HTTP_REQUEST = /^[A-Za-z]+ (?:\/|https?:)/
const SPACE = 32
const UTF8_PARAMETER = ' SMTPUTF8'

/**
 * Returns whether a line is an HTTP request. If somebody makes a browser connect to a mail server, none of its lines may run.
 * @param isCut `text` is only the beginning of the line.
 */
export function isHttpRequest(text: string, isCut: boolean): boolean {
  return HTTP_REQUEST.test(text) || (isCut && LONG_HTTP_REQUEST.test(text))
}

/** A chunk that the client announces (RFC 3030 2). */
export interface Chunk {
  readonly octets: number
  readonly isLast: boolean
  /** The size is valid, and the text behind it is not. */
  readonly isMalformed: boolean
}

/** Parses `size[ LAST]`. Returns undefined if the size has anything but digits: then no octets belong to the command. */
export function parseChunk(argument: string): Chunk | undefined {
  let start = 0
  while (argument.charCodeAt(start) === SPACE) start++
  let end = start
  while (isDigit(argument.charCodeAt(end))) end++
  if (end === start || (end < argument.length && argument.charCodeAt(end) !== SPACE)) return undefined
  const last = upperCase(argument.slice(end))
  const isMalformed = start > 0 || (last !== '' && last !== ' LAST')
  return { octets: Number(argument.slice(start, end)), isLast: last !== '', isMalformed }
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}

/** Tidies a line: removes blanks at its ends, and leaves one between verb and argument. */
export function tidied(line: string): string {
  const text = trimStart(trimEnd(line))
  let end = 0
  while (end < text.length && !isBlank(text.charCodeAt(end))) end++
  return end === text.length ? text : `${text.slice(0, end)} ${trimStart(text.slice(end))}`
}

/**
 * Returns the reply that refuses a name behind HELO or EHLO; undefined if the name is allowed. 'lenient' allows any text, or
 * none.
 */
export function helloRefusal(name: string, addresses: 'strict' | 'lenient'): Reply | undefined {
  const isName = addresses === 'lenient' ? /^[\x20-\x7e\u00a0-\uffff]*$/.test(name) : isHelloName(name)
  return isName ? undefined : replies.SYNTAX
}

/**
 * Parses the argument of VRFY and EXPN. Returns a reply if it is refused. With SMTPUTF8 behind it, it may be UTF-8 (RFC 6531
 * 3.7.4.2).
 */
export function parseQuery(argument: string, isUtf8Known: boolean): string | Reply {
  const isUtf8 = isUtf8Known && upperCase(argument.slice(-UTF8_PARAMETER.length)) === UTF8_PARAMETER
  const text = isUtf8 ? trimEnd(argument.slice(0, -UTF8_PARAMETER.length)) : argument
  if (text === '') return replies.ARGUMENT_WANTED
  const allowed = isUtf8 ? /^[\x20-\x7e\u00a0-\uffff]*$/ : /^[\x20-\x7e]*$/
  return allowed.test(text) ? text : replies.NOT_ASCII
}

/** Returns the reply that refuses an argument behind a verb; undefined if the argument is allowed. */
export function argumentRefusal(argument: string, takesNone: boolean): Reply | undefined {
  if (argument === '') return undefined
  if (!/^[\x20-\x7e]*$/.test(argument)) return replies.NOT_ASCII
  return takesNone ? replies.NO_ARGUMENT : undefined
}
