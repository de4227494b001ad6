/** A server: who is connected, and how it stops. */
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
  readonly #context: ConnectionDeps
  readonly #occupants: Occupants<Connection>
  readonly #arrivals: Arrivals
  readonly #maxTurnedAway: number
  #turnedAway = 0
  /** Sessions that are told to go, because newcomers have their places. */
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
