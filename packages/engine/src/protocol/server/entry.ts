/** The type of a verb's entry, and the session as an entry sees it. The entries are in `verbs.ts`. */
import type { ExtensionContext } from '../extensions/extension.ts'
import type { Reply } from '../grammar/reply.ts'
import type { AuthRules } from './auth.ts'
import type { Budgets } from './budgets.ts'
import type { Hello, ServerEvent } from './event.ts'
import type { Move, Moves, State } from './state.ts'
import type { OpenEnvelope, TransactionRules } from './transaction.ts'

/** What the gate needs to know of a session. */
export interface Visitor {
  readonly isSecure: boolean
  readonly canStartTls: boolean
  readonly isTlsMissing: boolean
  readonly isAuthMissing: boolean
  readonly isAuthOff: boolean
  /** The session is LMTP, not SMTP. */
  readonly isLmtp: boolean
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
  /** The transaction in progress, or the one that a MAIL proposes while its answer is pending. */
  envelope: OpenEnvelope | undefined
  /** The client pipelined this command behind one that was refused. So it is out of order, but not by the client's fault. */
  isBehindRefusal: boolean
  /** Octets of the chunk that came with the message; 0 for a message by DATA. */
  readonly chunkOctets: number
  /** Octets of the message so far. */
  readonly messageOctets: number
  /** Asks the driver. `settle` applies the driver's answer. */
  ask(event: ServerEvent, move: Move, settle?: Settle): ServerEvent
  /** Refuses a command before the driver sees it, and counts it as a bad command. */
  refuse(refusal: Reply): ServerEvent
  /** Refuses a command, and does not count it as a bad one. */
  tell(given: Reply): ServerEvent
  /** Returns the move for a command, or the reply if it may not come now. */
  moveFor(known: KnownVerb): Move | Reply
  setState(state: State): void
  /** Goes on with the next event, without a reply. */
  next(): ServerEvent
  endTransaction(): void
  /** Forgets the client's name and its transaction. */
  forget(): void
  /** Begins a message that is sent by DATA. */
  beginText(): void
  /** Begins a chunk. Returns whether the chunk is the first of its message. */
  beginChunk(octets: number, isLast: boolean): boolean
  /**
   * The replies that the end of this message gets: in LMTP one for each recipient (RFC 2033 4.2), also after the last chunk of BDAT.
   */
  readonly finalReplies: number
  /** Reads octets and drops them, then refuses. The refusal is sent as often as the message has final replies. */
  skip(octets: number, answer: Reply): void
}

/**
 * Applies the answer to an event, except for the state. Each function takes the event that it settles.
 * @returns the reply to send: the last failure that is allowed gets another one. undefined if the reply comes later.
 */
export type Settle = (session: VerbSession, event: never, given: Reply, isAccepted: boolean) => Reply | undefined

/** What holds for a verb on every server. */
export type VerbEntry = VerbTraits & (ReadVerb | AnnouncedVerb)

/** The argument is parsed only if the command may come now. */
export interface ReadVerb {
  read(session: VerbSession, argument: string, move: Move, known: KnownVerb): ServerEvent
  readonly announce?: never
}

/** Octets follow the line, so the argument is parsed even if the command may not come now. */
interface AnnouncedVerb {
  announce(session: VerbSession, argument: string, known: KnownVerb): ServerEvent
  readonly read?: never
}

interface VerbTraits {
  /** Its argument, as HELP shows it. MAIL and RCPT have parameters behind it. Default: none. */
  readonly syntax?: string
  /** It may come before TLS if TLS is required (RFC 3207 4). */
  readonly isBeforeTls?: boolean
  /** It may come before AUTH if AUTH is required (RFC 4954 4, and the commands that a client needs before AUTH). */
  readonly isBeforeAuth?: boolean
  /** It is off unless an extension defines it. */
  readonly needsExtension?: true
  /** A server need not have it (RFC 5321 4.5.1). */
  readonly isOptional?: true
  readonly takesNoArgument?: true
  /** It makes progress, so it does not count among the commands that make none. */
  readonly leadsOn?: true
  /** Its argument may be a secret, and its line may be as long as that of AUTH. */
  readonly isAuth?: true
  /** Returns a refusal if the verb may not come on this connection now. */
  refusal?(visitor: Visitor): Reply | undefined
}

/** A verb that one server knows, with all its facts. Each object has all fields, so that reading them is fast. */
export type KnownVerb = KnownTraits & (ReadVerb | AnnouncedVerb)

interface KnownTraits {
  /** In upper case. */
  readonly verb: string
  readonly isOff: boolean
  /** The longest line, CRLF included. */
  readonly maxLineOctets: number
  readonly moves: Moves
  readonly isBeforeTls: boolean
  readonly isBeforeAuth: boolean
  readonly takesNoArgument: boolean
  readonly leadsOn: boolean
  readonly isAuth: boolean
  readonly refusal: VerbTraits['refusal']
}
