/** The options of one listener, in the query of its URL: `smtp://*:25?tls=required&addresses=lenient`. */
import { LIMIT_RULES, type SessionOverrides } from '@postern/engine'
import { NotAllowed, quantity } from '../values/schema.ts'
import { isProxyRange, PROXY_ALLOWED, proxyOverrides } from './proxies.ts'

/** The options of one listener that differ from those of the server. */
export interface ListenerPolicy {
  readonly tls?: Offer
  readonly auth?: Offer
  readonly addresses?: 'strict' | 'lenient'
  /** The proxies that send a PROXY header, as `--proxy-from` names them. Empty: none. */
  readonly proxy?: readonly string[]
  readonly maxMessageBytes?: number
  /** The permissions of the Unix socket. Default: what the umask leaves. */
  readonly mode?: number
}

/** `required`: no mail without it. `offered`: the client may use it. `off`: it is not there. */
export type Offer = 'required' | 'offered' | 'off'

/** A Unix socket; a URL that fronts connect to; anything else. */
export type PlaceKind = 'tcp' | 'unix' | 'pipe'

/** The facts that the rest of the URL gives. */
interface Place {
  readonly scheme: string
  readonly implicitTls: boolean
  readonly submission: boolean
  readonly kind: PlaceKind
}

const KEYS = ['tls', 'auth', 'addresses', 'proxy', 'size', 'mode'] as const
type Key = (typeof KEYS)[number]
const OFFERS: readonly Offer[] = ['required', 'offered', 'off']
const NO_PROXY = 'none'
/** Three octal digits, of the owner, the group and the others, with or without a 0 before them. */
const MODE = /^0?[0-7]{3}$/
const MODE_ALLOWED = 'mode= with three or four octal digits, from 000 to 0777, such as mode=0666'
const sizeOf = quantity('bytes', LIMIT_RULES.maxMessageBytes.min, LIMIT_RULES.maxMessageBytes.max)

/** Reads the query of a listen URL. @throws NotAllowed that names the key, the value and what is allowed */
export function parsePolicy(query: URLSearchParams, place: Place): ListenerPolicy {
  const keys = keysFor(place)
  const policy: { -readonly [Name in keyof ListenerPolicy]: ListenerPolicy[Name] } = {}
  const seen = new Set<string>()
  for (const [written, value] of query) {
    const given = `${written}=${value}`
    const key = keys.find((known) => known === written)
    if (key === undefined && written === 'mode') {
      throw new NotAllowed(given, 'for this listener: mode= is for Unix sockets, such as smtp+unix:/run/postern.sock')
    }
    if (key === undefined) {
      throw new NotAllowed(given, `an option of a ${place.scheme} listener: ${keys.join(', ')}`)
    }
    if (seen.has(key)) throw new NotAllowed(given, `allowed twice: give ${key}= once`)
    seen.add(key)
    switch (key) {
      case 'tls':
      case 'auth': {
        const isFixed = place.submission || (key === 'tls' && place.implicitTls)
        policy[key] = wordOf<Offer>(given, key, value, isFixed ? ['required'] : OFFERS)
        break
      }
      case 'addresses':
        policy.addresses = wordOf<'strict' | 'lenient'>(given, key, value, ['strict', 'lenient'])
        break
      case 'proxy':
        policy.proxy = proxiesOf(given, value)
        break
      case 'size':
        policy.maxMessageBytes = sizeFrom(given, value)
        break
      case 'mode':
        if (!MODE.test(value)) throw new NotAllowed(given, MODE_ALLOWED)
        policy.mode = Number.parseInt(value, 8)
    }
  }
  return policy
}

/** A Unix socket has no address that could be a proxy's. For pipes, the front decides about TLS, AUTH and proxies. */
function keysFor({ kind }: Place): readonly Key[] {
  if (kind === 'pipe') return ['addresses', 'size']
  return KEYS.filter((key) => key !== (kind === 'unix' ? 'proxy' : 'mode'))
}

function wordOf<Word extends string>(given: string, key: string, value: string, words: readonly Word[]): Word {
  const word = words.find((known) => known === value)
  if (word === undefined) throw new NotAllowed(given, words.map((known) => `${key}=${known}`).join(', '))
  return word
}

function proxiesOf(given: string, value: string): readonly string[] {
  if (value === NO_PROXY) return []
  const ranges = value.split(',')
  if (!ranges.every(isProxyRange))
    throw new NotAllowed(given, `proxy= with ${PROXY_ALLOWED}; commas between several; or ${NO_PROXY}`)
  return ranges
}

function sizeFrom(given: string, value: string): number {
  try {
    return sizeOf(value)
  } catch (error) {
    if (!(error instanceof NotAllowed)) throw error
    throw new NotAllowed(given, `size= with ${error.allowed}`)
  }
}

/** The facts of a listener that its policy follows from. */
export interface PolicedListener {
  readonly submission: boolean
  readonly implicitTls: boolean
  readonly protocol: 'smtp' | 'lmtp'
  readonly path: string | undefined
  readonly policy: ListenerPolicy
}

/** The options of the server that hold for each listener, unless its URL says otherwise. */
export interface ServerPolicy {
  readonly tlsRequired: boolean
  readonly authRequired: boolean
  readonly proxyFrom: readonly string[]
}

export function isTlsRequired(
  { policy, submission }: PolicedListener,
  { tlsRequired }: Pick<ServerPolicy, 'tlsRequired'>,
): boolean {
  return policy.tls === undefined ? submission || tlsRequired : policy.tls === 'required'
}

export function isAuthRequired(
  { policy, submission }: PolicedListener,
  { authRequired }: Pick<ServerPolicy, 'authRequired'>,
): boolean {
  return policy.auth === undefined ? submission || authRequired : policy.auth === 'required'
}

/** Returns the proxies of a listener. A client on a Unix socket has no address, so it can't be a trusted proxy. */
export function proxiesFor(
  { path, policy }: PolicedListener,
  { proxyFrom }: Pick<ServerPolicy, 'proxyFrom'>,
): readonly string[] {
  return path === undefined ? (policy.proxy ?? proxyFrom) : []
}

/** Makes the session overrides of a listener. */
export function listenerOverrides(given: PolicedListener, options: ServerPolicy): SessionOverrides {
  const { policy, protocol } = given
  const { addresses, auth, maxMessageBytes, tls } = policy
  return {
    ...(isTlsRequired(given, options) !== options.tlsRequired && { tlsRequired: !options.tlsRequired }),
    ...(isAuthRequired(given, options) !== options.authRequired && { authRequired: !options.authRequired }),
    ...(tls === 'off' && { startTls: false as const }),
    ...(auth === 'off' && { auth: false as const }),
    ...(protocol === 'lmtp' && { protocol }),
    ...(addresses !== undefined && { addresses }),
    ...(maxMessageBytes !== undefined && { maxMessageBytes }),
    ...proxyOverrides(proxiesFor(given, options)),
  }
}
