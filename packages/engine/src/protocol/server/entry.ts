/** What the entry of a verb is, and how it sees the session. The entries are in `verbs.ts`. */
import type { ExtensionContext } from '../extensions/extension.ts'
import type { Reply } from '../grammar/reply.ts'
import type { AuthRules } from './auth.ts'
import type { Budgets } from './budgets.ts'
import type { Hello, ServerEvent } from './event.ts'
import type { Move, Moves, State } from './state.ts'
import type { OpenEnvelope, TransactionRules } from './transaction.ts'

/** What the gate must know of a session. */
export interface Visitor {
  readonly isSecure: boolean
  readonly canStartTls: boolean
  readonly isTlsMissing: boolean
  readonly isAuthMissing: boolean
}

/** A session, as a verb reads and changes it. */
export interface VerbSession extends ExtensionContext, Visitor {
  readonly rules: TransactionRules
  readonly auth: AuthRules
  readonly budgets: Budgets
  /** The verb of this command. */
  readonly verb: string
  /** Octets of its line, CRLF included. */
  readonly lineOctets: number
  hello: Hello | undefined
  isAuthenticated: boolean
  /** The transaction in progress, or proposed by the MAIL that waits for its answer. */
  envelope: OpenEnvelope | undefined
  /** What was pipelined behind a refusal is out of order through no fault of the client's. */
  isBehindRefusal: boolean
  /** Octets of the chunk that came with the message; 0 for a message by DATA. */
  readonly chunkOctets: number
  /** Octets of the message so far. */
  readonly messageOctets: number
  /** Asks the driver, whose answer is settled by `settle`. */
  ask(event: ServerEvent, move: Move, settle?: Settle): ServerEvent
  /** Refuses a command that the driver never gets to see, and counts it as a bad one. */
  refuse(refusal: Reply): ServerEvent
  /** Refuses a command without counting it as a bad one. */
  tell(given: Reply): ServerEvent
  /** Returns where a command leads, or why it may not be sent now. */
  moveFor(known: KnownVerb): Move | Reply
  setState(state: State): void
  /** Goes on to what comes next, without a reply. */
  next(): ServerEvent
  endTransaction(): void
  /** Forgets who the client is, and its transaction. */
  forget(): void
  /** Begins a message that is sent by DATA. */
  beginText(): void
  /** Begins a chunk. Returns whether it is the first of its message. */
  beginChunk(octets: number, isLast: boolean): boolean
  /** Reads octets away before anything else, then refuses. */
  skip(octets: number, answer: Reply): void
}

/**
 * Does what the answer to an event changes, but for the state. Each takes the event that it settles.
 *
 * @returns the reply to give: the last failure that is allowed gets another one. undefined if it is given later.
 */
export type Settle = (session: VerbSession, event: never, given: Reply, isAccepted: boolean) => Reply | undefined

/** What is true of a verb on every server. */
export type VerbEntry = VerbTraits & (ReadVerb | AnnouncedVerb)

/** A command is read if it may come now. */
export interface ReadVerb {
  read(session: VerbSession, argument: string, move: Move, known: KnownVerb): ServerEvent
  readonly announce?: never
}

/** Octets follow the line, so it is read whether it may come or not. */
interface AnnouncedVerb {
  announce(session: VerbSession, argument: string, known: KnownVerb): ServerEvent
  readonly read?: never
}

interface VerbTraits {
  /** It may come before TLS where TLS is required (RFC 3207 4). */
  readonly isBeforeTls?: boolean
  /** It may come before AUTH where AUTH is required (RFC 4954 4, and what leads there). */
  readonly isBeforeAuth?: boolean
  /** It is off unless an extension brings it. */
  readonly needsExtension?: true
  /** A server need not have it (RFC 5321 4.5.1). */
  readonly isOptional?: true
  readonly takesNoArgument?: true
  /** It leads somewhere by itself, so it does not count among those that lead nowhere. */
  readonly leadsOn?: true
  /** Its argument may be a secret, and its line as long as those of AUTH. */
  readonly isAuth?: true
  /** Says why it may not come on this connection now. */
  refusal?(visitor: Visitor): Reply | undefined
}

/** A verb that one server knows, and what it makes of it. Each has all fields, so that looking into them is fast. */
export type KnownVerb = KnownTraits & (ReadVerb | AnnouncedVerb)

interface KnownTraits {
  /** In upper case. */
  readonly verb: string
  readonly isOff: boolean
  /** Of its line, CRLF included. */
  readonly maxLineOctets: number
  readonly moves: Moves
  readonly isBeforeTls: boolean
  readonly isBeforeAuth: boolean
  readonly takesNoArgument: boolean
  readonly leadsOn: boolean
  readonly isAuth: boolean
  readonly refusal: VerbTraits['refusal']
}
