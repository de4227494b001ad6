/** Reads listen URLs. The scheme says the purpose of the port, and so its policy. The query changes the policy. */
import type { Protocol } from '@postern/engine'
import { NotAllowed } from '../values/schema.ts'
import { type ListenerPolicy, parsePolicy, type PlaceKind } from './listener-policy.ts'

interface Scheme {
  readonly port: number
  /** TLS begins with the first byte, not by STARTTLS. */
  readonly implicitTls: boolean
  /** For the users of this server (RFC 6409): TLS and AUTH are required. */
  readonly submission: boolean
  /** Fronts pipe connections to it, over WebSockets. */
  readonly pipe?: true
  /** Default: SMTP. */
  readonly protocol?: Protocol
}

/** What each scheme means; the ports are IANA's. */
const SCHEMES: Readonly<Record<SchemeName, Scheme>> = {
  smtp: { port: 25, implicitTls: false, submission: false },
  smtps: { port: 465, implicitTls: true, submission: false },
  submission: { port: 587, implicitTls: false, submission: true },
  // RFC 8314 3.3
  submissions: { port: 465, implicitTls: true, submission: true },
  // RFC 2033 5 forbids port 25. Port 24 is for private mail systems.
  lmtp: { port: 24, implicitTls: false, submission: false, protocol: 'lmtp' },
  ws: { port: 80, implicitTls: false, submission: false, pipe: true },
  wss: { port: 443, implicitTls: true, submission: false, pipe: true },
}

/** The scheme of a listen URL. */
export type SchemeName = 'smtp' | 'smtps' | 'submission' | 'submissions' | 'lmtp' | 'ws' | 'wss'

/** One address to listen on. */
export interface ListenAddress {
  /** As the user wrote it. */
  readonly url: string
  readonly scheme: SchemeName
  readonly implicitTls: boolean
  readonly submission: boolean
  readonly protocol: Protocol
  /** Set by the query of the URL. */
  readonly policy: ListenerPolicy
  /** Undefined for a Unix socket, and for every address (`*`). */
  readonly host: string | undefined
  /** 0 means any free port. */
  readonly port: number
  /** The path of the Unix socket, if it is one. */
  readonly path: string | undefined
  /** The number or name of a socket that systemd passes to the program. */
  readonly socket: string | undefined
  /** The path of a `ws://` or `wss://` URL, where fronts connect. */
  readonly pipePath: string | undefined
}

export const LISTEN_ALLOWED: string =
  'a URL such as smtp://127.0.0.1:2525, smtps://[::1]:465, submission://*:587, lmtp://127.0.0.1:24, smtp+unix:/run/postern.sock, smtp+fd:3 or ws://127.0.0.1:8025/pipe'

const SMTP_PORT = 25
const ONE_ALLOWED = 'one URL; give each address by a --listen of its own'
const LMTP_PORT_ALLOWED = 'a port for LMTP: RFC 2033 forbids port 25; give another, such as lmtp://127.0.0.1:24'

/** Reads a listen URL. Returns undefined if it is not one. @throws NotAllowed if its query or its port is wrong */
export function parseListenUrl(text: string): ListenAddress | undefined {
  // A path of a Unix socket may have a comma.
  if (/,[a-z+]{2,20}:/.test(text)) throw new NotAllowed(text, ONE_ALLOWED)
  const url = URL.parse(text)
  if (url === null) return undefined
  const [scheme = '', transport] = url.protocol.slice(0, -1).split('+')
  if (!isScheme(scheme)) return undefined
  const { port, implicitTls, submission, pipe = false, protocol = 'smtp' } = SCHEMES[scheme]
  if (url.hash !== '') return undefined
  const common = (kind: PlaceKind): ListenAddress => ({
    url: text,
    scheme,
    implicitTls,
    submission,
    protocol,
    policy: parsePolicy(url.searchParams, { scheme, implicitTls, submission, kind }),
    host: undefined,
    port: 0,
    path: undefined,
    pipePath: undefined,
    socket: undefined,
  })
  if (transport === 'unix' && !pipe) {
    if (url.host !== '' || url.pathname.length < 2) return undefined
    const path = unescaped(url.pathname)
    return path === undefined ? undefined : { ...common('unix'), path }
  }
  if (transport === 'fd' && !pipe) {
    const { pathname: socket } = url
    return /^[\w.@-]{1,255}$/.test(socket) ? { ...common('tcp'), socket } : undefined
  }
  if (transport !== undefined || url.hostname === '' || (!pipe && !/^\/?$/.test(url.pathname))) return undefined
  if (url.username !== '' || url.password !== '') return undefined
  if (protocol === 'lmtp' && Number(url.port) === SMTP_PORT) throw new NotAllowed(text, LMTP_PORT_ALLOWED)
  const host = url.hostname === '*' ? undefined : url.hostname.replace(/^\[(.*)\]$/, '$1')
  return {
    ...common(pipe ? 'pipe' : 'tcp'),
    host,
    port: url.port === '' ? port : Number(url.port),
    pipePath: pipe ? url.pathname : undefined,
  }
}

function unescaped(pathname: string): string | undefined {
  try {
    return decodeURIComponent(pathname)
  } catch {
    return undefined
  }
}

function isScheme(text: string): text is SchemeName {
  return Object.hasOwn(SCHEMES, text)
}
