/** A server: what its options mean, who is connected, and how it stops. */
import type { Duplex, Endpoint } from '../duplex.ts'
import { Allowance } from '../protocol/server/allowance.ts'
import { auth as authExtension } from '../protocol/extensions/auth.ts'
import { BUILT_IN } from '../protocol/extensions/builtin.ts'
import { ExtensionSet } from '../protocol/extensions/set.ts'
import type { ProtocolExtension } from '../protocol/extensions/extension.ts'
import { Gate } from '../protocol/server/gate.ts'
import { type Limits, OptionError, resolveLimits } from '../protocol/limits.ts'
import { isHelloName } from '../protocol/grammar/path.ts'
import * as replies from '../protocol/grammar/replies.ts'
import { type Reply, reply } from '../protocol/grammar/reply.ts'
import { MECHANISMS, type Mechanism } from '../protocol/sasl.ts'
import type { ProtocolOptions } from '../protocol/server/server-protocol.ts'
import type { BareLineEndings } from '../protocol/framing/text.ts'
import type { AddressRanges } from '../protocol/grammar/address.ts'
import { Admission, maxTurnedAway, type Place, type Places } from './places/admission.ts'
import { Arrivals } from './places/arrivals.ts'
import { Connection } from './connection.ts'
import type { CommandHandler, Extension } from './extension.ts'
import type { AuthOptions, Handlers, RefusedCommand } from './handlers.ts'
import { isPromiseLike } from './hooks.ts'
import { idMaker } from './session/id.ts'
import { type GiveUp, Occupants, Reservation } from './occupants.ts'
import type { Session } from './session/session.ts'

/** Options of {@link createServer}: who the server is, what it allows, and the hooks. */
export interface ServerOptions extends Handlers {
  /** The name in the greeting, the EHLO reply and the trace header: a domain or an address literal. */
  readonly hostname: string
  /** What follows the host name in the greeting. Default 'Postern'. */
  readonly banner?: string
  readonly limits?: Partial<Limits>
  readonly auth?: AuthOptions
  readonly tls?: TlsPolicy
  /** What to do with a bare CR or LF inside DATA. Default 'reject'. */
  readonly bareLineEndings?: BareLineEndings
  /**
   * 'lenient' takes what is only untidy and hides nothing: paths without angle brackets or with blanks in them, dots at an end of the
   * local part or beside one another, a dot behind the domain, a reverse-path without a domain, any HELO name or none, several
   * blanks for one. Addresses are kept as written. Default 'strict'.
   */
  readonly addresses?: 'strict' | 'lenient'
  /** Extensions besides the built-in ones. */
  readonly extensions?: readonly Extension[]
  /** EHLO keywords of built-in extensions, and verbs that nobody needs (VRFY, EXPN, HELP), that are off. */
  readonly disabled?: readonly string[]
  /** Wait this long before the greeting, and refuse who talks into it with `554 5.5.0`. Default 0: neither. */
  readonly greetingDelayMs?: number
  /**
   * Who gives out places for connections, where servers share them; `maxConnections` then bounds, here, only those that wait for a
   * proxy's header or a handshake behind it. Default: an `Admission` by this server's limits.
   */
  readonly places?: Places
  /** Sees what goes over the wire, line by line; what a client says to prove who it is comes as '(credentials)'. */
  readonly trace?: (line: WireLine) => void
}

/** TLS as the protocol sees it; certificates belong to the listener. */
export interface TlsPolicy {
  /** Offer STARTTLS where the connection can do it. Default true. */
  readonly startTls?: boolean
  /** Refuse MAIL and the rest until the connection is TLS. Default false. */
  readonly required?: boolean
}

/** One line on the wire, for a debug log. */
export interface WireLine {
  readonly sessionId: string
  readonly from: 'client' | 'server'
  /** Without CRLF, made printable. Message text is left out. */
  readonly text: string
}

export interface CloseOptions {
  /** How long transactions in progress may take to finish. Default 30,000. */
  readonly graceMs?: number
}

export interface Server {
  /**
   * Serves one connection, from the greeting to the close. Never rejects: what breaks goes to `error`.
   *
   * `overrides` replaces policies for this connection alone: a submission port requires AUTH where port 25 does not. `place` is
   * what `reserve` gave for the connection; the server gives it back when the session is over.
   */
  accept(duplex: Duplex, overrides?: SessionOverrides, place?: Place): Promise<void>
  /**
   * Takes a place for a connection that is not ready to be accepted, because its TLS handshake comes first. So it counts from its
   * first packet on. Whoever calls it gives the place to `accept`, or gives it back. Returns undefined if there is no place: then
   * the connection is to be closed, since a client that awaits a handshake understands no reply.
   *
   * @param giveUp Closes the connection. It is called if another connection gets the place, which may happen after a while if
   *   all places are taken. Default: this one keeps it.
   */
  reserve(remote: Endpoint, giveUp?: GiveUp, overrides?: SessionOverrides): Place | undefined
  /**
   * Stops: idle sessions get `421 4.3.2`, transactions in DATA finish and get their reply, new connections are refused.
   * What is left after `graceMs` is destroyed. Resolves when the last session is over, at the latest a second later.
   */
  close(options?: CloseOptions): Promise<void>
  /** Sessions now. */
  readonly sessionCount: number
  readonly hostname: string
  readonly limits: Limits
}

/** What one listener can set apart from the server's own options. */
export interface SessionOverrides {
  readonly authRequired?: boolean
  readonly tlsRequired?: boolean
  /** As {@link ServerOptions.addresses}. */
  readonly addresses?: 'strict' | 'lenient'
  /**
   * Connections come through proxies that say whose they are, by the PROXY protocol, version 1 or 2. Who connects from
   * one of the `trusted` addresses must send a header, and is closed on without a greeting where it does not; the session is
   * then the client's that it names. Anyone else is served as who they are, and a header from them is bad input.
   */
  readonly proxyProtocol?: { readonly trusted: AddressRanges }
  /**
   * The connection is handed on in clear and is to be TLS before the greeting (RFC 8314): so a listener does it where the
   * handshake comes behind a proxy's header. Default false.
   */
  readonly implicitTls?: boolean
}

/** What every connection of a server works with. */
export interface Context {
  readonly options: ServerOptions
  readonly limits: Limits
  readonly protocol: ProtocolOptions
  readonly greeting: Reply
  readonly help: Reply
  readonly commands: ReadonlyMap<string, CommandHandler>
  makeId(nowMs: number): string
  report(error: unknown, session: Session | undefined): void
  /** Tells the `refused` hook. */
  refused(refused: RefusedCommand, session: Session | undefined): void
  /** A connection has ended. */
  over(connection: Connection): void
}

/** Makes a server. It listens nowhere: a runtime's `listen` hands it connections. @throws OptionError */
export function createServer(options: ServerOptions): Server {
  return new SmtpServer(options)
}

const DEFAULT_GRACE_MS = 30_000
/** Of `idleTimeoutMs`: how long a connection has to idle before its place may go to another. */
const DISPLACED_AFTER_SHARE = 1 / 30

class SmtpServer implements Server {
  readonly hostname: string
  readonly limits: Limits
  readonly #context: Context
  readonly #occupants: Occupants
  readonly #arrivals: Arrivals
  readonly #maxTurnedAway: number
  #turnedAway = 0
  /** Sessions that are told to go, because newcomers have their places. */
  readonly #displaced = new Set<Connection>()
  #closed: Promise<void> | undefined
  #allGone: (() => void) | undefined

  constructor(options: ServerOptions) {
    this.#context = createContext(options, (connection) => this.#over(connection))
    this.hostname = options.hostname
    this.limits = this.#context.limits
    this.#maxTurnedAway = maxTurnedAway(this.limits.maxConnections)
    const places = options.places ?? new Admission({ ...this.limits, keepsForSubmission: options.auth !== undefined })
    const minIdleMs = this.limits.idleTimeoutMs * DISPLACED_AFTER_SHARE
    this.#occupants = new Occupants(places, minIdleMs, (occupant) => this.#displace(occupant))
    this.#arrivals = new Arrivals(this.limits, (error) => this.#context.report(error, undefined))
  }

  get sessionCount(): number {
    return this.#occupants.connectionCount
  }

  /** One promise and one frame wait for the session, however long it lasts: most connections are idle most of the time. */
  accept(duplex: Duplex, overrides: SessionOverrides = {}, place?: Place): Promise<void> {
    try {
      if (place !== undefined) return this.#admit(duplex, overrides, place)
      const identified = this.#identify(duplex, overrides)
      if (!(identified instanceof Promise)) return this.#admit(identified, overrides)
      return identified
        .then((client) => (client === undefined ? undefined : this.#admit(client, overrides)))
        .catch((error: unknown) => this.#drop(duplex, error))
    } catch (error) {
      this.#drop(duplex, error)
      place?.leave()
      return Promise.resolve()
    }
  }

  reserve(remote: Endpoint, giveUp?: GiveUp, overrides: SessionOverrides = {}): Place | undefined {
    if (this.#closed !== undefined) return undefined
    return this.#occupants.reserve(remote, this.#isSubmission(overrides), giveUp)
  }

  #isSubmission({ authRequired }: SessionOverrides): boolean {
    return authRequired ?? this.#context.options.auth?.required ?? false
  }

  /** A duplex, or a set of addresses, that is not ours may throw where it must not. */
  #drop(duplex: Duplex, error: unknown): void {
    this.#context.report(error, undefined)
    this.#destroy(duplex, false)
  }

  /** Where nothing is left to do that could fail. */
  #destroy(duplex: Duplex, isNews: boolean = true): void {
    try {
      duplex.destroy()
    } catch (error) {
      if (isNews) this.#context.report(error, undefined)
    }
  }

  /** The client's own connection, or undefined where nobody knows whose it is. */
  #identify(duplex: Duplex, { proxyProtocol }: SessionOverrides): Duplex | Promise<Duplex | undefined> {
    if (this.#closed !== undefined || proxyProtocol?.trusted.includes(duplex.remote) !== true) return duplex
    return this.#arrivals.identify(duplex)
  }

  /** @param reserved Its place, if it has one already */
  #admit(client: Duplex, overrides: SessionOverrides, reserved?: Place): Promise<void> {
    const isTlsMissing = overrides.implicitTls === true && client.tls === undefined
    if (this.#closed !== undefined) {
      reserved?.leave()
      return this.#turnAway(client, replies.SHUTTING_DOWN, isTlsMissing)
    }
    const place = reserved ?? this.#enter(client, overrides, isTlsMissing)
    if (place === undefined) return this.#turnAway(client, replies.TOO_MANY_CONNECTIONS, isTlsMissing)
    return isTlsMissing ? this.#secure(client, overrides, place) : this.#serve(client, overrides, place)
  }

  #enter(client: Duplex, overrides: SessionOverrides, isTlsMissing: boolean): Place | undefined {
    const { remote } = client
    if (isTlsMissing) return this.reserve(remote, (reason) => client.destroy(reason), overrides)
    return this.#occupants.enter(remote, this.#isSubmission(overrides))
  }

  async #secure(client: Duplex, overrides: SessionOverrides, place: Place): Promise<void> {
    try {
      const isSecure = await this.#arrivals.secure(client)
      // The server may have begun to stop meanwhile.
      if (isSecure && this.#closed === undefined) return await this.#serve(client, overrides, place)
      if (isSecure) await this.#turnAway(client, replies.SHUTTING_DOWN, false)
    } catch (error) {
      this.#drop(client, error)
    }
    place.leave()
  }

  /** Never throws. */
  #serve(duplex: Duplex, overrides: SessionOverrides, reserved: Place): Promise<void> {
    const place = reserved instanceof Reservation ? reserved.take() : reserved
    if (place === undefined) return this.#turnAway(duplex, replies.IDLE_WHEN_FULL, false)
    try {
      const connection = new Connection(this.#context, duplex, overrides)
      this.#occupants.add(connection, place)
      return connection.run()
    } catch (error) {
      this.#drop(duplex, error)
      place.leave()
      return Promise.resolve()
    }
  }

  /** Ends a connection, because a newcomer has its place. */
  #displace(occupant: Connection | Reservation): void {
    try {
      if (occupant instanceof Reservation) return occupant.giveUp()
      // Its socket is one more than there are places, until the client has taken the reply.
      const isTold = this.#canTell
      this.#displaced.add(occupant)
      this.#context.refused(
        { verb: '', reply: replies.IDLE_WHEN_FULL, remote: occupant.remote, byHook: false },
        occupant,
      )
      if (isTold) occupant.displace()
      else occupant.destroy()
    } catch (error) {
      this.#context.report(error, undefined)
    }
  }

  #over(connection: Connection): void {
    this.#displaced.delete(connection)
    this.#occupants.delete(connection)
    if (this.#occupants.connectionCount === 0) this.#allGone?.()
  }

  close({ graceMs = DEFAULT_GRACE_MS }: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(graceMs)
    return this.#closed
  }

  async #close(graceMs: number): Promise<void> {
    this.#arrivals.close()
    if (this.#occupants.connectionCount === 0) return
    const allGone = new Promise<void>((resolve) => {
      this.#allGone = resolve
    })
    for (const connection of this.#occupants.connections) connection.shutDown()
    const timer = setTimeout(() => {
      for (const connection of this.#occupants.connections) connection.destroy()
    }, graceMs)
    await allGone
    clearTimeout(timer)
  }

  /** One more client can be told that there is no place for it, displaced ones included. */
  get #canTell(): boolean {
    return this.#turnedAway + this.#displaced.size < this.#maxTurnedAway
  }

  async #turnAway(duplex: Duplex, why: Reply, isTlsMissing: boolean): Promise<void> {
    if (why !== replies.SHUTTING_DOWN) {
      this.#context.refused({ verb: '', reply: why, remote: duplex.remote, byHook: false }, undefined)
    }
    // In clear there is nothing to say to who speaks TLS.
    if (isTlsMissing || !this.#canTell) return this.#destroy(duplex)
    this.#turnedAway++
    try {
      // Nothing is waited for but the close, and a runtime bounds that.
      const written = duplex.write(why.octets)
      if (written instanceof Promise) written.catch(() => {})
      await duplex.end()
    } catch {
      this.#destroy(duplex)
    } finally {
      this.#turnedAway--
    }
  }
}

/** Verbs that a server need not have (RFC 5321 4.5.1). */
const OPTIONAL_VERBS: readonly string[] = ['VRFY', 'EXPN', 'HELP']

function createContext(options: ServerOptions, over: Context['over']): Context {
  const limits = resolveLimits(options.limits)
  checkOptions(options)
  const mechanisms = chooseMechanisms(options.auth)
  const extensions = chooseExtensions(options, mechanisms)
  const commands = new Map(options.extensions?.flatMap(({ commands }) => Object.entries(commands ?? {})))
  const set = new ExtensionSet(extensions)
  const verbsOff = new Set(OPTIONAL_VERBS.filter((verb) => options.disabled?.includes(verb)))
  const verbs = ['HELO', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'RSET', 'NOOP', 'QUIT', ...OPTIONAL_VERBS, ...set.verbs]
  const report: Context['report'] = (error, session) => {
    // What goes wrong in the handler of errors has nowhere to go.
    quietly(
      () => options.error?.(error, session),
      () => {},
    )
  }
  return {
    options,
    limits,
    commands,
    protocol: {
      hostname: options.hostname,
      limits,
      extensions: set,
      mechanisms,
      allowAuthWithoutTls: options.auth?.allowWithoutTls ?? false,
      bareLineEndings: options.bareLineEndings ?? 'reject',
      addresses: options.addresses ?? 'strict',
      gate: new Gate(limits, set, verbsOff),
      envelopes: new Allowance(limits.maxTotalEnvelopeOctets),
    },
    greeting: reply(220, '', `${options.hostname} ESMTP ${options.banner ?? 'Postern'}`),
    help: reply(214, '2.0.0', `Commands: ${verbs.filter((verb) => !verbsOff.has(verb)).join(' ')}`),
    makeId: idMaker(),
    over,
    report,
    refused(refused, session) {
      if (options.refused !== undefined) {
        quietly(
          () => options.refused?.(refused, session),
          (error) => report(error, session),
        )
      }
    },
  }
}

/** Calls a hook whose answer nobody waits for. */
function quietly(hook: () => unknown, failed: (error: unknown) => void): void {
  try {
    const told = hook()
    if (isPromiseLike(told)) told.then(undefined, failed)
  } catch (error) {
    failed(error)
  }
}

function checkOptions(options: ServerOptions): void {
  const { hostname, banner = '', bareLineEndings = 'reject', addresses = 'strict', greetingDelayMs = 0 } = options
  if (!isHelloName(hostname)) throw new OptionError('hostname', hostname, 'a domain or an address literal')
  if (!/^[\x20-\x7e]{0,200}$/.test(banner)) throw new OptionError('banner', banner, 'up to 200 characters of ASCII')
  if (!['reject', 'normalise', 'preserve'].includes(bareLineEndings)) {
    throw new OptionError('bareLineEndings', bareLineEndings, "'reject', 'normalise' or 'preserve'")
  }
  if (!['strict', 'lenient'].includes(addresses)) throw new OptionError('addresses', addresses, "'strict' or 'lenient'")
  if (!Number.isInteger(greetingDelayMs) || greetingDelayMs < 0 || greetingDelayMs > 60_000) {
    throw new OptionError('greetingDelayMs', greetingDelayMs, 'a whole number from 0 to 60000')
  }
}

function chooseMechanisms(auth: AuthOptions | undefined): ReadonlyMap<string, Mechanism> {
  if (auth === undefined) return new Map()
  const names = auth.mechanisms ?? (Object.keys(MECHANISMS) as (keyof typeof MECHANISMS)[])
  return new Map(
    names.map((name) => {
      if (!Object.hasOwn(MECHANISMS, name)) {
        throw new OptionError('auth.mechanisms', name, `one of ${Object.keys(MECHANISMS).join(', ')}`)
      }
      return [name, MECHANISMS[name]]
    }),
  )
}

function chooseExtensions(
  options: ServerOptions,
  mechanisms: ReadonlyMap<string, Mechanism>,
): readonly ProtocolExtension[] {
  const { auth, disabled = [], extensions = [] } = options
  const known = [...BUILT_IN.map(({ keyword }) => keyword), 'AUTH', ...OPTIONAL_VERBS]
  for (const name of disabled) {
    if (!known.includes(name)) throw new OptionError('disabled', name, `one of ${known.join(', ')}`)
  }
  const off = new Set(disabled)
  // RFC 3030 3: it needs the one to be sent, and BODY of the other.
  if (off.has('CHUNKING') || off.has('8BITMIME')) off.add('BINARYMIME')
  if (options.tls?.startTls === false) off.add('STARTTLS')
  const own = extensions.map(({ commands, ...rest }): ProtocolExtension => ({
    ...rest,
    verbs: Object.keys(commands ?? {}),
  }))
  const all = [...BUILT_IN]
  if (auth !== undefined) all.push(authExtension([...mechanisms.values()], auth.allowWithoutTls ?? false))
  return [...all.filter(({ keyword }) => !off.has(keyword)), ...own]
}
