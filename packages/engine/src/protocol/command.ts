/** Command lines taken apart: RFC 5321 4.1.1. What is not a command of SMTP at all is told apart here too. */
import { upperCase } from './ascii.ts'
import type { LineStatus } from './lines.ts'
import { isHelloName } from './path.ts'
import * as replies from './replies.ts'
import type { Reply } from './reply.ts'

/** A request line, or the beginning of one that is longer than a command may be. */
const HTTP_REQUEST = /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI) |^\S+ \S+ HTTP\/\d/
/** The same of a line too long to be seen whole, whatever its method: no command has such an argument. */
const LONG_HTTP_REQUEST = /^[A-Za-z]+ (?:\/|https?:)/
/** A size that can be read, and what follows it. */
const CHUNK_SIZE = /^ *(\d+)(.*)$/
const TAKES_NO_ARGUMENT: ReadonlySet<string> = new Set(['RSET', 'QUIT', 'STARTTLS', 'DATA'])

/** Whether this is HTTP. A browser made to speak to a mail server must not get a single one of its lines run. */
export function isHttpRequest(text: string, status: LineStatus): boolean {
  return HTTP_REQUEST.test(text) || (status === 'too-long' && LONG_HTTP_REQUEST.test(text))
}

/** A chunk that is announced (RFC 3030 2). */
export interface Chunk {
  readonly octets: number
  readonly isLast: boolean
  /** The size can be read, and what follows it cannot. */
  readonly isMalformed: boolean
}

/** Reads `size[ LAST]`; undefined where not even the size can be read. */
export function parseChunk(argument: string): Chunk | undefined {
  const match = CHUNK_SIZE.exec(argument)
  if (match === null) return undefined
  const last = upperCase(match[2] as string)
  const isMalformed = argument.startsWith(' ') || (last !== '' && last !== ' LAST')
  return { octets: Number(match[1]), isLast: last !== '', isMalformed }
}

/** Why this may not stand behind HELO or EHLO; undefined where it may. */
export function helloRefusal(name: string, addresses: 'strict' | 'lenient'): Reply | undefined {
  const isName = addresses === 'lenient' ? /^[\x21-\x7e][\x20-\x7e]*$/.test(name) : isHelloName(name)
  return isName ? undefined : replies.SYNTAX
}

/** The argument of VRFY and EXPN, or why it is refused. With SMTPUTF8 behind it, it may be UTF-8 (RFC 6531 3.7.4.2). */
export function parseQuery(argument: string, isUtf8Known: boolean): string | Reply {
  const parameter = isUtf8Known ? / +SMTPUTF8$/i.exec(argument) : null
  const text = parameter === null ? argument : argument.slice(0, parameter.index)
  if (text === '') return replies.ARGUMENT_WANTED
  const allowed = parameter === null ? /^[\x20-\x7e]*$/ : /^[\x20-\x7e\u00a0-\uffff]*$/
  return allowed.test(text) ? text : replies.NOT_ASCII
}

/** Why this argument may not stand behind `verb`; undefined where it may. */
export function argumentRefusal(verb: string, argument: string): Reply | undefined {
  if (argument === '') return undefined
  if (!/^[\x20-\x7e]*$/.test(argument)) return replies.NOT_ASCII
  return TAKES_NO_ARGUMENT.has(verb) ? replies.NO_ARGUMENT : undefined
}
