/** URLs of servers: `smtp://`, `smtps://`, `smtp+starttls://`, `lmtp://`, `lmtp+unix:`. */
import { parseIp } from '../protocol/grammar/address.ts'
import { asciiDomain } from '../protocol/grammar/domain.ts'
import type { ClientCredentials } from '../sasl/client/mechanism.ts'

/** Where a server is, and how a client speaks to it. */
export interface ServerAddress {
  readonly protocol: 'smtp' | 'lmtp'
  /** A domain, or an IP address without brackets. 'localhost' for a Unix socket. */
  readonly host: string
  /** 0 for a Unix socket. */
  readonly port: number
  /** The path of a Unix socket. */
  readonly path?: string
  /** TLS begins with the first byte. */
  readonly implicitTls: boolean
  readonly startTls: 'never' | 'if-offered' | 'required'
  readonly credentials?: ClientCredentials
}

type Scheme = Pick<ServerAddress, 'protocol' | 'port' | 'implicitTls' | 'startTls'>

const SCHEMES: Readonly<Record<string, Scheme>> = {
  'smtp:': { protocol: 'smtp', port: 25, implicitTls: false, startTls: 'if-offered' },
  'smtps:': { protocol: 'smtp', port: 465, implicitTls: true, startTls: 'never' },
  'smtp+starttls:': { protocol: 'smtp', port: 587, implicitTls: false, startTls: 'required' },
  'lmtp:': { protocol: 'lmtp', port: 24, implicitTls: false, startTls: 'if-offered' },
}
const UNIX = 'lmtp+unix:'
const ALLOWED = 'smtp://, smtps://, smtp+starttls://, lmtp:// or lmtp+unix:/path'

/**
 * Parses the URL of a server. A user and a password in it are percent-decoded. @throws TypeError that names the wrong part, and never
 * shows the password
 */
export function parseServerUrl(url: string): ServerAddress {
  if (url.startsWith(UNIX)) return unixAddress(url.slice(UNIX.length))
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const scheme = SCHEMES[parsed?.protocol ?? '']
  if (parsed === undefined || scheme === undefined || !url.slice(parsed.protocol.length).startsWith('//'))
    throw new TypeError(`server URL: it does not begin with ${ALLOWED}`)
  const { hostname, pathname, search, hash, username, password } = parsed
  if (pathname !== '' && pathname !== '/') throw new TypeError(`server URL: ${pathname} behind the host has no meaning`)
  if (search !== '' || hash !== '') throw new TypeError(`server URL: ${search || hash} has no meaning`)
  const port = parsed.port === '' ? scheme.port : Number(parsed.port)
  if (port === 0) throw new TypeError('server URL: port 0 is not from 1 to 65535')
  const address = { ...scheme, host: hostOf(hostname), port }
  if (username === '' && password === '') return address
  if (username === '') throw new TypeError('server URL: a password needs a user')
  const credentials = {
    username: decoded(username, 'user'),
    ...(password !== '' && { password: decoded(password, 'password') }),
  }
  return { ...address, credentials }
}

function unixAddress(path: string): ServerAddress {
  const plain = path.replace(/^\/\/(?=\/)/, '')
  if (!plain.startsWith('/') || plain.startsWith('//') || /[\0-\x1f]/.test(plain))
    throw new TypeError(`server URL: ${JSON.stringify(path)} is not the absolute path of a Unix socket`)
  return { protocol: 'lmtp', host: 'localhost', port: 0, path: plain, implicitTls: false, startTls: 'never' }
}

function hostOf(text: string): string {
  const host = decoded(text, 'host')
  if (host.startsWith('[') && host.endsWith(']')) return host.slice(1, -1)
  const domain = parseIp(host) === undefined ? asciiDomain(host) : host
  if (domain === undefined || domain === '') throw new TypeError(`server URL: ${JSON.stringify(host)} is not a host`)
  return domain
}

function decoded(text: string, part: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new TypeError(`server URL: the ${part} is not percent-encoded UTF-8`)
  }
}
