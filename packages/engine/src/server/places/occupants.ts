/**
 * The connections that have a place: sessions, and connections that make their TLS handshake before the server gets
 * them.
 */
import type { Endpoint } from '../../duplex.ts'
import type { Place, Places } from './admission.ts'
import { Displacement, type Occupant } from './displacement.ts'
import { type Member, Members } from './members.ts'

/** Closes a connection because another one got its place. */
export type GiveUp = (reason: Error) => void

/** A session. */
export interface Occupying extends Occupant, Member {
  /** undefined after a newcomer took it. */
  place: Place | undefined
}

/** @typeParam C A session. */
export class Occupants<C extends Occupying> {
  readonly #places: Places
  readonly #displacement: Displacement<C | Reservation>
  readonly #connections = new Members<C>()
  readonly #reservations = new Members<Reservation>()

  /**
   * @param minIdleMs A connection that has been idle for less keeps its place.
   * @param displace Ends a connection. Called after a newcomer got its place
   */
  constructor(places: Places, minIdleMs: number, displace: (occupant: C | Reservation) => void) {
    this.#places = places
    this.#displacement = new Displacement(
      places,
      minIdleMs,
      () => this.#all(),
      (occupant) => {
        if (!(occupant instanceof Reservation)) occupant.place = undefined
        displace(occupant)
      },
    )
  }

  /** Takes a place for a newcomer: a free one, or the place of an idle connection, which is ended. */
  enter(remote: Endpoint, isSubmission: boolean): Place | undefined {
    return this.#places.enter(remote, isSubmission) ?? this.#displacement.enter(remote, isSubmission)
  }

  /** Takes a place for a connection that is not a session yet. */
  reserve(remote: Endpoint, isSubmission: boolean, giveUp: GiveUp | undefined): Reservation | undefined {
    const place = this.enter(remote, isSubmission)
    return place && new Reservation(remote, place, giveUp, this.#reservations)
  }

  add(connection: C, place: Place): void {
    connection.place = place
    this.#connections.add(connection)
  }

  /** Gives the connection's place back, unless a newcomer has it. */
  delete(connection: C): void {
    if (this.#connections.delete(connection)) connection.place?.leave()
  }

  /** All sessions, including those that are closing. */
  get connections(): Iterable<C> {
    return this.#connections
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  *#all(): Iterable<readonly [C | Reservation, Place]> {
    for (const connection of this.#connections) if (connection.place !== undefined) yield [connection, connection.place]
    for (const reservation of this.#reservations) yield [reservation, reservation.place]
  }
}

/** The place of a connection that is not a session yet, because its handshake is running. */
export class Reservation implements Place, Member {
  memberIndex: number = -1
  readonly remote: Endpoint
  readonly place: Place
  readonly #giveUp: GiveUp | undefined
  readonly #since: number = performance.now()
  /** All reservations. This one is among them while it has the place. */
  readonly #all: Members<Reservation>

  constructor(remote: Endpoint, place: Place, giveUp: GiveUp | undefined, all: Members<Reservation>) {
    this.remote = remote
    this.place = place
    this.#giveUp = giveUp
    this.#all = all
    all.add(this)
  }

  get isSubmission(): boolean {
    return this.place.isSubmission
  }

  get idleMs(): number | undefined {
    return this.#giveUp !== undefined && this.#all.has(this) ? performance.now() - this.#since : undefined
  }

  /** Hands the place on, to the session or to a newcomer. Returns undefined on a second call. */
  take(): Place | undefined {
    return this.#all.delete(this) ? this.place : undefined
  }

  leave(): void {
    this.take()?.leave()
  }

  /** Ends the connection, because a newcomer has its place. */
  giveUp(): void {
    this.take()
    this.#giveUp?.(new Error('too many connections'))
  }
}
