/** A server: its connections, and how it stops. */
import type { Duplex, Endpoint } from '../duplex.ts'
import * as replies from '../protocol/grammar/replies.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { Limits } from '../protocol/limits.ts'
import { Connection, type ConnectionDeps } from './connection.ts'
import { createContext } from './context.ts'
import type { ServerOptions, SessionOverrides } from './options.ts'
import { Admission, maxTurnedAway, type Place } from './places/admission.ts'
import { Arrivals } from './places/arrivals.ts'
import { type GiveUp, Occupants, Reservation } from './places/occupants.ts'

export interface CloseOptions {
  /** How many milliseconds transactions in progress may take to finish. Default 30,000. */
  readonly graceMs?: number
}

export interface Server {
  /**
   * Serves one connection, from the greeting to the close. Never rejects: the `error` hook gets the errors. `overrides`
   * changes options for this connection only: a submission port requires AUTH, for example, and port 25 does not.
   * `place` is the result of `reserve` for this connection. The server gives it back when the session is over.
   */
  accept(duplex: Duplex, overrides?: SessionOverrides, place?: Place): Promise<void>
  /**
   * Takes a place for a connection that cannot be accepted yet, because its TLS handshake comes first. So it counts
   * from its first packet. The caller gives the place to `accept`, or gives it back. Returns undefined if there is no
   * place: the caller then closes the connection, because a client that waits for a handshake understands no reply.
   *
   * @param giveUp Closes the connection. It is called if another connection gets the place, which may happen after a
   *   while if all places are taken. Default: this connection keeps its place.
   */
  reserve(remote: Endpoint, giveUp?: GiveUp, overrides?: SessionOverrides): Place | undefined
  /**
   * Stops the server. Idle sessions get `421 4.3.2`. Transactions in DATA finish and get their reply. New connections
   * are refused. After `graceMs` the remaining sessions are destroyed. Resolves when the last session is over, at the
   * latest a second later.
   */
  close(options?: CloseOptions): Promise<void>
  /** The number of sessions now. */
  readonly sessionCount: number
  readonly hostname: string
  readonly limits: Limits
}

/**
 * Makes a server. It does not listen: a runtime's `listen` hands it connections.
 * @throws OptionError
 */
export function createServer(options: ServerOptions): Server {
  return new SmtpServer(options)
}

const DEFAULT_GRACE_MS = 30_000
/** The part of `idleTimeoutMs` that a connection must have been idle before its place may go to another one. */
const DISPLACED_AFTER_SHARE = 1 / 30

class SmtpServer implements Server {
  readonly hostname: string
  readonly limits: Limits
  readonly #context: ConnectionDeps
  readonly #occupants: Occupants<Connection>
  readonly #arrivals: Arrivals
  readonly #maxTurnedAway: number
  #turnedAway = 0
  /** Sessions that are closing because newcomers have their places. */
  readonly #displaced = new Set<Connection>()
  #closed: Promise<void> | undefined
  #allGone: (() => void) | undefined

  constructor(options: ServerOptions) {
    this.#context = { ...createContext(options), over: (connection) => this.#over(connection) }
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

  /**
   * One promise and one frame wait for the session, for as long as it lasts, because most connections are idle most of
   * the time.
   */
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

  /**
   * Drops a connection after an unexpected error. A duplex or a set of addresses that somebody else wrote may throw
   * where it must not.
   */
  #drop(duplex: Duplex, error: unknown): void {
    this.#context.report(error, undefined)
    this.#destroy(duplex, false)
  }

  /** Destroys a connection after which nothing else can fail. */
  #destroy(duplex: Duplex, isNews: boolean = true): void {
    try {
      duplex.destroy()
    } catch (error) {
      if (isNews) this.#context.report(error, undefined)
    }
  }

  /** Returns the client's own connection, or undefined if the client is not known. */
  #identify(duplex: Duplex, { proxyProtocol }: SessionOverrides): Duplex | Promise<Duplex | undefined> {
    if (this.#closed !== undefined || proxyProtocol?.trusted.includes(duplex.remote) !== true) return duplex
    return this.#arrivals.identify(duplex)
  }

  /** @param reserved The connection's place, if it already has one */
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
      // The server may have begun to stop during the handshake.
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
      // The socket is one more than there are places, until the client has taken the reply.
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

  /** True if one more client can get a reply that there is no place for it. Displaced clients count too. */
  get #canTell(): boolean {
    return this.#turnedAway + this.#displaced.size < this.#maxTurnedAway
  }

  async #turnAway(duplex: Duplex, why: Reply, isTlsMissing: boolean): Promise<void> {
    if (why !== replies.SHUTTING_DOWN) {
      this.#context.refused({ verb: '', reply: why, remote: duplex.remote, byHook: false }, undefined)
    }
    // A client that expects TLS understands no reply in clear.
    if (isTlsMissing || !this.#canTell) return this.#destroy(duplex)
    this.#turnedAway++
    try {
      // Only the close is waited for, and the runtime bounds that.
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
