/**
 * URLs of servers: `smtp://`, `smtps://`, `smtp+starttls://`, `lmtp://` and `lmtp+unix:/path`.
 * The platform's URL does not know these schemes, and each runtime reads an unknown scheme's host in its own way.
 * No error shows the whole URL, because it may have a password.
 */
import { asciiDomain } from '../protocol/grammar/domain.ts'
import { ipv6Groups } from '../protocol/grammar/path.ts'
import type { ClientCredentials } from '../sasl/client/mechanism.ts'

/** What a URL says of a server. */
export interface ServerAddress {
  readonly protocol: 'smtp' | 'lmtp'
  /** A domain in its ASCII form, or an IP address without brackets; '' for a Unix socket. */
  readonly host: string
  /** 0 for a Unix socket. */
  readonly port: number
  /** The path of a Unix socket. */
  readonly path: string | undefined
  /** TLS begins with the first byte. */
  readonly implicitTls: boolean
  readonly startTls: 'never' | 'if-offered' | 'required'
  readonly credentials?: ClientCredentials
}

type Scheme = Pick<ServerAddress, 'protocol' | 'port' | 'implicitTls' | 'startTls'>

const SCHEMES: Readonly<Record<string, Scheme>> = {
  smtp: { protocol: 'smtp', port: 25, implicitTls: false, startTls: 'if-offered' },
  smtps: { protocol: 'smtp', port: 465, implicitTls: true, startTls: 'never' },
  'smtp+starttls': { protocol: 'smtp', port: 587, implicitTls: false, startTls: 'required' },
  lmtp: { protocol: 'lmtp', port: 24, implicitTls: false, startTls: 'if-offered' },
  'lmtp+unix': { protocol: 'lmtp', port: 0, implicitTls: false, startTls: 'never' },
}
const UNIX = 'lmtp+unix'
const MAX_PORT = 65_535

/** @throws TypeError, with one line that names the wrong part of the URL */
export function parseServerUrl(url: string): ServerAddress {
  const colon = url.indexOf(':')
  const name = url.slice(0, Math.max(0, colon)).toLowerCase()
  const scheme = Object.hasOwn(SCHEMES, name) ? SCHEMES[name] : undefined
  if (scheme === undefined) {
    // Without a scheme, what stands before the colon may be a user's name.
    throw new TypeError(`server URL: it does not begin with one of ${Object.keys(SCHEMES).join(':, ')}:`)
  }
  const rest = url.slice(colon + 1)
  if (name === UNIX) return { ...scheme, host: '', path: unixPath(rest) }
  if (!rest.startsWith('//')) throw new TypeError(`server URL: // is missing behind ${name}:`)
  const end = rest.slice(2).search(/[/?#]/)
  const authority = end < 0 ? rest.slice(2) : rest.slice(2, 2 + end)
  const behind = end < 0 ? '' : rest.slice(2 + end)
  if (behind !== '' && behind !== '/') {
    throw new TypeError('server URL: nothing may stand behind host and port; write / ? # in a password as %2F %3F %23')
  }
  const at = authority.lastIndexOf('@')
  const { host, port } = hostAndPort(authority.slice(at + 1), scheme.port)
  const address: ServerAddress = { ...scheme, host, port, path: undefined }
  return at < 0 ? address : { ...address, credentials: credentialsOf(authority.slice(0, at)) }
}

function unixPath(text: string): string {
  const path = decoded(text.startsWith('///') ? text.slice(2) : text, 'path')
  if (!path.startsWith('/') || path.startsWith('//') || path.includes('\0')) {
    throw new TypeError(`server URL: path ${JSON.stringify(path)} is not the absolute path of a Unix socket`)
  }
  return path
}

function hostAndPort(text: string, defaultPort: number): { readonly host: string; readonly port: number } {
  const bracket = text.startsWith('[') ? text.indexOf(']') : 0
  const colon = bracket < 0 ? -1 : text.indexOf(':', bracket)
  const written = colon < 0 ? text : text.slice(0, colon)
  const portText = colon < 0 ? String(defaultPort) : text.slice(colon + 1)
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0
  if (port < 1 || port > MAX_PORT) {
    // Without a host, what stands behind the colon may be a password.
    const shown = /^\d*$/.test(portText) ? ` "${portText}"` : ''
    throw new TypeError(`server URL: port${shown} is not a number from 1 to ${MAX_PORT}`)
  }
  const isIpv6 = written.startsWith('[') && written.endsWith(']')
  const host = isIpv6 ? written.slice(1, -1).toLowerCase() : asciiDomain(written)
  if (host === undefined || (isIpv6 && ipv6Groups(host) === undefined)) {
    throw new TypeError(
      `server URL: host ${JSON.stringify(written)} is not a domain, an IPv4 address or an IPv6 address in brackets`,
    )
  }
  return { host, port }
}

function credentialsOf(text: string): ClientCredentials {
  const colon = text.indexOf(':')
  const username = decoded(colon < 0 ? text : text.slice(0, colon), 'user name')
  if (username === '') throw new TypeError('server URL: the user name is empty')
  return colon < 0 ? { username } : { username, password: decoded(text.slice(colon + 1), 'password') }
}

function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new TypeError(`server URL: the ${part} has a % that is not followed by two hexadecimal digits of UTF-8`)
  }
}
