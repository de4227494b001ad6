/** Options of a server and of a listener, and the checks of these options. */
import type { Endpoint } from '../duplex.ts'
import type { AddressRanges } from '../protocol/grammar/address.ts'
import { isHelloName } from '../protocol/grammar/path.ts'
import { auth as authExtension } from '../protocol/extensions/auth.ts'
import { BUILT_IN } from '../protocol/extensions/builtin.ts'
import { type ProtocolExtension, VERB_EFFECTS } from '../protocol/extensions/extension.ts'
import type { BareLineEndings } from '../protocol/framing/text.ts'
import { type Limits, OptionError } from '../protocol/limits.ts'
import type { Verb } from '../protocol/server/state.ts'
import { VERBS } from '../protocol/server/verbs.ts'
import { inContext } from '../sasl/accounts.ts'
import type { Accounts, Mechanism } from '../sasl/mechanism.ts'
import { type Credentials, MECHANISMS, type MechanismName } from '../sasl/mechanisms.ts'
import type { Extension, ExtensionCommand } from './extension.ts'
import type { AuthOptions, Handlers } from './handlers.ts'
import type { Places } from './places/admission.ts'
import type { Session } from './session/session.ts'

/** Options of `createServer`: the server's name, what it allows, and the hooks. */
export interface ServerOptions extends Handlers {
  /** The name in the greeting, the EHLO reply and the trace header: a domain or an address literal. */
  readonly hostname: string
  /** The text behind the host name in the greeting. Default 'Postern'. */
  readonly banner?: string
  /** The text behind the host name in the replies to HELO, EHLO and LHLO. Default: none. */
  readonly helloText?: string
  readonly limits?: Partial<Limits>
  readonly auth?: AuthOptions
  readonly tls?: TlsPolicy
  /** Rejects, normalises or preserves a bare CR or LF inside DATA. Default 'reject'. */
  readonly bareLineEndings?: BareLineEndings
  /**
   * 'lenient' also accepts untidy input that hides nothing: paths without angle brackets or with blanks in them, dots
   * at an end of the local part or beside one another, a dot behind the domain, a reverse-path without a domain, any
   * HELO name or none, several blanks for one. Addresses are kept as written. Default 'strict'.
   */
  readonly addresses?: 'strict' | 'lenient'
  /** Extensions besides the built-in ones. */
  readonly extensions?: readonly Extension[]
  /** Extensions, by EHLO keyword, and optional verbs (VRFY, EXPN, HELP) that are off. */
  readonly disabled?: readonly string[]
  /**
   * Waits this long before the greeting. A client that sends meanwhile gets `554 5.5.0`. Default 0: no wait and no
   * check.
   */
  readonly greetingDelayMs?: number
  /**
   * Gives out places for connections, if several servers share them. `maxConnections` then bounds only the connections
   * of this server that wait for a proxy's header, or for a handshake behind it. Default: an `Admission` with this
   * server's limits.
   */
  readonly places?: Places
  /** Gets each line that is sent or received. A client's credentials are replaced by '(credentials)'. */
  readonly trace?: (line: WireLine) => void
}

/** The protocol's options for TLS. The listener has the certificates. */
export interface TlsPolicy {
  /** Offer STARTTLS if the connection can do it. Default true. */
  readonly startTls?: boolean
  /** Refuse MAIL and the rest until the connection is TLS. Default false. */
  readonly required?: boolean
}

/** One line on the wire, for a debug log. */
export interface WireLine {
  readonly sessionId: string
  readonly from: 'client' | 'server'
  /** The client of the session. */
  readonly remote: Endpoint
  /** Without CRLF, made printable. Text of messages is left out. */
  readonly text: string
}

/** SMTP (RFC 5321), or LMTP (RFC 2033). */
export type Protocol = 'smtp' | 'lmtp'

/** Options that one listener can set differently from the server. */
export interface SessionOverrides {
  /** 'lmtp': the client greets by LHLO, and after a message it gets one reply for each recipient (RFC 2033). Default 'smtp'. */
  readonly protocol?: Protocol
  readonly authRequired?: boolean
  readonly tlsRequired?: boolean
  /** False: AUTH is off. Default: as the server's options say. */
  readonly auth?: false
  /** False: STARTTLS is off. Default: as the server's options say. */
  readonly startTls?: false
  /** As {@link Limits.maxMessageBytes}. */
  readonly maxMessageBytes?: number
  /** As {@link ServerOptions.addresses}. */
  readonly addresses?: 'strict' | 'lenient'
  /**
   * Connections come through proxies that name the client by the PROXY protocol, version 1 or 2. A client with one of
   * the `trusted` addresses must send a header; without one, the connection is closed without a greeting. The session
   * is then that of the client in the header. Any other client is served under its own address, and a header from it is
   * bad input.
   */
  readonly proxyProtocol?: { readonly trusted: AddressRanges }
  /**
   * The listener hands the connection on in clear, and the server makes the TLS handshake before the greeting (RFC
   * 8314). A listener sets this if the handshake comes behind a proxy's header. Default false.
   */
  readonly implicitTls?: boolean
}

/** RFC 4422 3.1. */
const MECHANISM_NAME = /^[A-Z0-9_-]{1,20}$/

/** Extensions of the engine that a server has only if `extensions` names them. */
const ADDED: readonly string[] = ['DSN', 'REQUIRETLS', 'MT-PRIORITY', 'DELIVERBY', 'FUTURERELEASE']

/** Verbs that a server does not need. */
export const OPTIONAL_VERBS: readonly string[] = Object.keys(VERBS).filter((verb) => VERBS[verb as Verb].isOptional)

/** @throws OptionError on an invalid value */
export function checkOptions(options: ServerOptions): void {
  const {
    hostname,
    banner = '',
    helloText = '',
    auth,
    bareLineEndings = 'reject',
    addresses = 'strict',
    greetingDelayMs = 0,
  } = options
  if (!isHelloName(hostname)) throw new OptionError('hostname', hostname, 'a domain or an address literal')
  for (const [field, text] of Object.entries({ banner, helloText, 'auth.requiredText': auth?.requiredText ?? '' })) {
    if (!/^[\x20-\x7e]{0,200}$/.test(text)) throw new OptionError(field, text, 'up to 200 characters of ASCII')
  }
  if (!['reject', 'normalise', 'preserve'].includes(bareLineEndings)) {
    throw new OptionError('bareLineEndings', bareLineEndings, "'reject', 'normalise' or 'preserve'")
  }
  if (!['strict', 'lenient'].includes(addresses)) throw new OptionError('addresses', addresses, "'strict' or 'lenient'")
  if (!Number.isInteger(greetingDelayMs) || greetingDelayMs < 0 || greetingDelayMs > 60_000) {
    throw new OptionError('greetingDelayMs', greetingDelayMs, 'a whole number from 0 to 60000')
  }
}

/** Returns the mechanisms on offer, by name. @throws OptionError */
export function chooseMechanisms(auth: AuthOptions | undefined): ReadonlyMap<string, Mechanism> {
  const chosen = new Map<string, Mechanism>()
  if (auth === undefined) return chosen
  const accounts = accountsOf(auth, undefined as never)
  const supported = Object.values(MECHANISMS).filter((mechanism) => mechanism.isSupported(accounts))
  if (auth.mechanisms === undefined && supported.length === 0) {
    throw new OptionError('auth.authenticate', auth.authenticate, 'a function, and the accounts support no mechanism')
  }
  for (const given of auth.mechanisms ?? supported) {
    const mechanism = typeof given === 'string' ? mechanismOf(given) : given
    const { name } = mechanism
    if (!MECHANISM_NAME.test(name)) {
      throw new OptionError('auth.mechanisms', name, "a mechanism's name: up to 20 of A to Z, 0 to 9, '-' and '_'")
    }
    if (!mechanism.isSupported(accounts)) {
      throw new OptionError('auth.mechanisms', name, 'a mechanism that the accounts support')
    }
    chosen.set(name, mechanism)
  }
  return chosen
}

/** Returns the accounts as a mechanism asks them for a client of this session. */
export function accountsOf({ accounts = {}, authenticate }: AuthOptions, session: Session): Accounts {
  const bound = inContext(accounts, session)
  if (authenticate === undefined) return bound
  return { ...bound, checkPassword: (login) => authenticate(login as Credentials, session) }
}

function mechanismOf(name: MechanismName): Mechanism {
  if (Object.hasOwn(MECHANISMS, name)) return MECHANISMS[name]
  throw new OptionError('auth.mechanisms', name, `one of ${Object.keys(MECHANISMS).join(', ')}`)
}

/** Returns the extensions on offer, in the order of the EHLO reply. @throws OptionError */
export function chooseExtensions(
  options: ServerOptions,
  mechanisms: ReadonlyMap<string, Mechanism>,
): readonly ProtocolExtension[] {
  const { auth, disabled = [], extensions = [] } = options
  const given = extensions.map(({ keyword }) => keyword)
  const known = [...new Set([...BUILT_IN.map(({ keyword }) => keyword), 'AUTH', ...ADDED, ...given, ...OPTIONAL_VERBS])]
  for (const name of disabled) {
    if (!known.includes(name)) throw new OptionError('disabled', name, `one of ${known.join(', ')}`)
  }
  const off = new Set(disabled)
  // RFC 3030 3: BINARYMIME is sent by CHUNKING, and needs the BODY parameter of 8BITMIME.
  if (off.has('CHUNKING') || off.has('8BITMIME')) off.add('BINARYMIME')
  if (options.tls?.startTls === false) off.add('STARTTLS')
  const own = extensions.map((extension): ProtocolExtension => {
    const { commands: _, ...rest } = extension
    return { ...rest, verbs: commandsOf(extension) }
  })
  const all = [...BUILT_IN]
  if (auth !== undefined) all.push(authExtension([...mechanisms.values()], auth.allowWithoutTls ?? false))
  return [...all, ...own].filter(({ keyword }) => !off.has(keyword))
}

/**
 * Returns the commands of an extension, by verb.
 * @throws OptionError
 */
export function commandsOf({ commands = {} }: Extension): Readonly<Record<string, ExtensionCommand>> {
  const entries = Object.entries(commands).map(([verb, command]): [string, ExtensionCommand] => {
    const rules: ExtensionCommand = typeof command === 'function' ? { handle: command } : command
    const { effect = 'none' } = rules
    if (!VERB_EFFECTS.includes(effect)) {
      throw new OptionError('extensions', effect, `an effect of ${verb}: one of ${VERB_EFFECTS.join(', ')}`)
    }
    return [verb, rules]
  })
  return Object.fromEntries(entries)
}
