/** The orders to the attacker and to the clients beside it, and their answers: one line of JSON each. */

interface AttackBase {
  readonly port: number
  /** Loopback addresses that connections come from, in turn. */
  readonly addresses: readonly string[]
  /** Bounds: the attack ends after this time, and sends no more than this many octets. */
  readonly seconds: number
  readonly maxOctets: number
}

/** Connections that write the same commands again and again, as fast as the server reads. */
export interface FloodOrder extends AttackBase {
  readonly kind: 'flood'
  readonly connections: number
  /** Sent once, at the start of each connection. */
  readonly opening: string
  /** Sent again and again. */
  readonly commands: string
}

/** Connections that guess passwords by AUTH PLAIN. */
export interface GuessOrder extends AttackBase {
  readonly kind: 'guess'
  readonly connections: number
  readonly usernames: readonly string[]
}

/** Transactions with as many recipients as the server accepts. They stay open. */
export interface RecipientsOrder extends AttackBase {
  readonly kind: 'recipients'
  /** In all. */
  readonly connections: number
  /** Connections that send at the same time. */
  readonly senders: number
  readonly recipientsPerConnection: number
  /**
   * RCPT lines, without CRLF. The first one that is not refused with a 5xx is used, or else the last. `{n}` is the
   * recipient's number.
   */
  readonly lines: readonly string[]
}

/** Whole messages, one after another. */
export interface MessagesOrder extends AttackBase {
  readonly kind: 'messages'
  readonly connections: number
  /** In all. */
  readonly messages: number
  readonly mail: string
  /** As above. */
  readonly lines: readonly string[]
  readonly recipients: number
}

/** Connections that are opened at a rate and write nothing. */
export interface SilentOrder extends AttackBase {
  readonly kind: 'silent'
  /** In all. */
  readonly connections: number
  readonly connectionsPerSecond: number
}

/** Connections that send EHLO and then nothing. If one is closed, it is opened again. */
export interface IdleOrder extends AttackBase {
  readonly kind: 'idle'
  readonly connections: number
}

export type AttackOrder = FloodOrder | GuessOrder | RecipientsOrder | MessagesOrder | SilentOrder | IdleOrder

/** The results of an attacker. */
export interface Tally {
  /** Connections that were opened. */
  opened: number
  /** Connections that could not be opened. */
  failed: number
  /** Connections that the server closed. */
  closed: number
  /** Octets that were handed to the system. */
  octets: number
  /** Replies by code. */
  readonly replies: Record<string, number>
}

export interface AttackOutcome extends Tally {
  readonly seconds: number
}

/** From the beginning of a phase to the first visit. A client that is slow begins at once. */
export const LEAD_MS = 600

/** An honest client. */
export interface ClientOrder {
  /**
   * - `mail` sends a small message. It is timed from MAIL; from connecting, if each message has a connection of its own
   * - `login` connects and logs in by AUTH PLAIN
   * - `greeting` connects and waits for the greeting
   * - `request` connects, asks for `/` by HTTP and waits for any answer
   * - `slow` sends one message, line by line, for as long as it is measured
   */
  readonly kind: 'mail' | 'login' | 'greeting' | 'request' | 'slow'
  readonly name: string
  readonly port: number
  readonly address: string
  /** Time from one visit to the next. A late visit is not made up for. */
  readonly intervalMs: number
  /** Visits at the same time. 1: all messages of `mail` go over one connection. */
  readonly maxVisits: number
  /** TLS from the first byte. */
  readonly isSecure?: boolean
  /** The time from the connect to the client's first byte. */
  readonly delayMs?: number
  readonly login?: { readonly username: string; readonly password: string }
}

export interface ClientsOrder {
  readonly kind: 'clients'
  readonly clients: readonly ClientOrder[]
}

/** Begins to measure, or ends it and asks for the results. */
export interface PhaseOrder {
  readonly kind: 'begin' | 'end'
}

/** The results of a client's visits in one phase. */
export interface Visits {
  readonly name: string
  /** Visits that were begun. */
  readonly begun: number
  /** Visits that were served. */
  readonly served: number
  /** Times that were due and found all visits still under way. */
  readonly late: number
  /**
   * Of the visits that were served and of those that still waited at the end. NaN, which JSON writes as null, if there
   * were none.
   */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly maxMs: number | null
  /** Visits that failed, by reason. */
  readonly failures: Readonly<Record<string, number>>
}
