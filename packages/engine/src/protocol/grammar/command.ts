/** Command lines taken apart: RFC 5321 4.1.1. What is not a command of SMTP at all is told apart here too. */
import { isBlank, trimEnd, trimStart, upperCase } from '../bytes/ascii.ts'
import { isHelloName } from './path.ts'
import * as replies from './replies.ts'
import type { Reply } from './reply.ts'

/** A request line, or the beginning of one that is longer than a command may be. */
const HTTP_REQUEST = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) |^\S+ \S+ HTTP\/\d/
/** The same of a line too long to be seen whole, whatever its method: no command has such an argument. */
const LONG_HTTP_REQUEST = /^[A-Za-z]+ (?:\/|https?:)/
const SPACE = 32
const UTF8_PARAMETER = ' SMTPUTF8'

/**
 * Returns whether a line is a request of HTTP. If a browser is made to speak to a mail server, not one of its lines may run.
 *
 * @param isCut `text` is only the beginning of the line.
 */
export function isHttpRequest(text: string, isCut: boolean): boolean {
  return HTTP_REQUEST.test(text) || (isCut && LONG_HTTP_REQUEST.test(text))
}

/** A chunk that is announced (RFC 3030 2). */
export interface Chunk {
  readonly octets: number
  readonly isLast: boolean
  /** The size can be read, and what follows it cannot. */
  readonly isMalformed: boolean
}

/** Reads `size[ LAST]`. Returns undefined if the size is not made of digits alone: then no octets belong to the command. */
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

/** Makes a line tidy that is not: no blanks at its ends, and one between verb and argument. */
export function tidied(line: string): string {
  const text = trimStart(trimEnd(line))
  let end = 0
  while (end < text.length && !isBlank(text.charCodeAt(end))) end++
  return end === text.length ? text : `${text.slice(0, end)} ${trimStart(text.slice(end))}`
}

/** Why this may not stand behind HELO or EHLO; undefined where it may. Lenient takes any text, and none. */
export function helloRefusal(name: string, addresses: 'strict' | 'lenient'): Reply | undefined {
  const isName = addresses === 'lenient' ? /^[\x20-\x7e\u00a0-\uffff]*$/.test(name) : isHelloName(name)
  return isName ? undefined : replies.SYNTAX
}

/** The argument of VRFY and EXPN, or why it is refused. With SMTPUTF8 behind it, it may be UTF-8 (RFC 6531 3.7.4.2). */
export function parseQuery(argument: string, isUtf8Known: boolean): string | Reply {
  const isUtf8 = isUtf8Known && upperCase(argument.slice(-UTF8_PARAMETER.length)) === UTF8_PARAMETER
  const text = isUtf8 ? trimEnd(argument.slice(0, -UTF8_PARAMETER.length)) : argument
  if (text === '') return replies.ARGUMENT_WANTED
  const allowed = isUtf8 ? /^[\x20-\x7e\u00a0-\uffff]*$/ : /^[\x20-\x7e]*$/
  return allowed.test(text) ? text : replies.NOT_ASCII
}

/** Why this argument may not stand behind a verb; undefined where it may. */
export function argumentRefusal(argument: string, takesNone: boolean): Reply | undefined {
  if (argument === '') return undefined
  if (!/^[\x20-\x7e]*$/.test(argument)) return replies.NOT_ASCII
  return takesNone ? replies.NO_ARGUMENT : undefined
}
