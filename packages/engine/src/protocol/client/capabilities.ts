/** What a server says of itself in its replies to EHLO, LHLO and HELO: RFC 5321 4.1.1.1. */
import { upperCase } from '../bytes/ascii.ts'
import type { ServerReply } from './server-reply.ts'

export interface ServerInfo {
  readonly greeting: ServerReply
  /** The server's name in its reply to EHLO; '' if it gave none. */
  readonly name: string
  /** The parameters of each extension, by its keyword in upper case. */
  readonly extensions: ReadonlyMap<string, readonly string[]>
  /** False if the server knows only HELO. */
  readonly isEsmtp: boolean
  /** The greatest message that the server takes (RFC 1870). Missing if the server names none. */
  readonly maxMessageBytes?: number
}

const KEYWORD = /^[A-Za-z0-9][A-Za-z0-9-]*$/
const AUTH_WITH_EQUALS = 'AUTH='

/** Reads the reply to EHLO or LHLO. Lines that are no extension are left out. */
export function readHello(greeting: ServerReply, hello: ServerReply): ServerInfo {
  const extensions = new Map<string, readonly string[]>()
  for (const line of hello.lines.slice(1)) {
    // Old servers write AUTH=LOGIN for clients that were made before RFC 2554.
    const isOldAuth = upperCase(line.slice(0, AUTH_WITH_EQUALS.length)) === AUTH_WITH_EQUALS
    const words = (isOldAuth ? `AUTH ${line.slice(AUTH_WITH_EQUALS.length)}` : line)
      .split(' ')
      .filter((word) => word !== '')
    const [keyword = '', ...parameters] = words
    if (!KEYWORD.test(keyword)) continue
    const name = keyword.toUpperCase()
    const known = extensions.get(name) ?? []
    extensions.set(name, [...known, ...parameters.filter((parameter) => !known.includes(parameter))])
  }
  const size = extensions.get('SIZE')?.[0] ?? ''
  const maxMessageBytes = /^\d{1,15}$/.test(size) ? Number(size) : 0
  const info = { greeting, name: nameIn(hello), extensions, isEsmtp: true }
  // 0 means that there is no fixed bound (RFC 1870 4).
  return maxMessageBytes > 0 ? { ...info, maxMessageBytes } : info
}

/** Reads the reply to HELO. */
export function readOldHello(greeting: ServerReply, hello: ServerReply): ServerInfo {
  return { greeting, name: nameIn(hello), extensions: new Map(), isEsmtp: false }
}

function nameIn(hello: ServerReply): string {
  return hello.lines[0]?.split(' ')[0] ?? ''
}
