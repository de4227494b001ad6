/**
 * The hooks: optional methods that a user of the engine writes. Each gets the session, and most can refuse.
 * A hook returns nothing to go on, or a Reply: 2xx goes on with that text, 4xx and 5xx refuse. It may return a promise.
 * A hook that answers at once costs nothing extra. If a hook throws, `error` gets the exception and the client gets
 * `451 4.3.0`, so no client ever reads an exception's text.
 */
import type { Endpoint, TlsInfo } from '../duplex.ts'
import type { ForwardPath, ReversePath } from '../protocol/grammar/envelope.ts'
import type { Hello } from '../protocol/server/event.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { AccountsWith } from '../sasl/accounts.ts'
import type { Mechanism } from '../sasl/mechanism.ts'
import type { Credentials, MechanismName } from '../sasl/mechanisms.ts'
import type { Message } from './session/message.ts'
import type { Session } from './session/session.ts'

/** The answer of a hook. */
export type Verdict = Reply | undefined | void

/**
 * The answer of the `data` hook: one for all recipients, or a list with a reply for each, in the order of `envelope.forwardPaths`.
 * In LMTP each recipient gets its reply. SMTP has one reply for all: the first of 4xx, or else the first of 5xx, or else the first.
 */
export type DataVerdict = Verdict | readonly Reply[]

/** A command or a connection that was refused, by the engine or by a hook. */
export interface RefusedCommand {
  /**
   * In upper case, without the argument, because the argument of AUTH is a secret. '' for a connection that was refused
   * or closed, and for a line that is not a command.
   */
  readonly verb: string
  /** The reply. The client may have left before it was sent. */
  readonly reply: Reply
  /** The client that was refused. */
  readonly remote: Endpoint
  /** True if a hook gave the reply; otherwise the engine did. */
  readonly byHook: boolean
  /** The recipient who gets the reply, if the `data` hook answered each recipient of an LMTP message for itself. */
  readonly forwardPath?: ForwardPath
}

export interface Handlers {
  /**
   * A client connected; nothing was sent yet. A refusal is sent in place of the greeting, and the connection closes.
   * Any other answer changes nothing.
   */
  connect?(session: Session): Verdict | Promise<Verdict>
  /**
   * A TLS handshake is done: implicit TLS before the greeting, or STARTTLS. A refusal answers the next command and
   * closes the connection.
   */
  secure?(tls: TlsInfo, session: Session): Verdict | Promise<Verdict>
  /** HELO or EHLO. An answer that does not refuse changes nothing: the reply lists the extensions. */
  hello?(hello: Hello, session: Session): Verdict | Promise<Verdict>
  /** MAIL. `session.envelope` is the proposed one. */
  mail?(reversePath: ReversePath, session: Session): Verdict | Promise<Verdict>
  /** RCPT. `session.envelope` holds the recipients accepted so far. */
  rcpt?(forwardPath: ForwardPath, session: Session): Verdict | Promise<Verdict>
  /**
   * A message begins to arrive. The hook's answer is the answer to the message. 250 promises that the message is kept
   * (RFC 5321 6.1), so return it only after the message is stored.
   */
  data?(message: Message, session: Session): DataVerdict | Promise<DataVerdict>
  /** VRFY. Without an answer the client gets 252. */
  verify?(argument: string, session: Session): Verdict | Promise<Verdict>
  /** EXPN. Without an answer the client gets 502. */
  expand?(argument: string, session: Session): Verdict | Promise<Verdict>
  /** RSET, or a new HELO or EHLO, gives up a transaction. `session.envelope` is still there. */
  reset?(session: Session): void | Promise<void>
  /** The connection has ended, for any reason. The answer is ignored. */
  close?(session: Session): void | Promise<void>
  /**
   * A client was refused. Called for each reply of 4xx and 5xx, except `421 4.3.2` at shutdown. Use it for a log: it
   * cannot change the reply. A connection over the limits has no session.
   */
  refused?(refused: RefusedCommand, session: Session | undefined): void
  /**
   * A hook threw, or a connection broke and the client is not the cause. If a hook was late, the error is a
   * `HookTimeoutError`. If a TLS handshake or a proxy's header failed, it is an {@link ArrivalError}.
   */
  error?(error: unknown, session: Session | undefined): void
}

/** AUTH (RFC 4954). At least one of `authenticate` and `accounts` must be present. */
export interface AuthOptions {
  /**
   * The mechanisms on offer, in this order: names of the engine's own, and objects of yours. Default: each of the
   * engine's own for which the accounts have the methods.
   */
  readonly mechanisms?: readonly (MechanismName | Mechanism)[]
  /** Refuse MAIL and the rest until AUTH has succeeded. Default false. */
  readonly required?: boolean
  /** The text of `530 5.7.0`, which refuses commands before AUTH. Default 'Authentication required'. */
  readonly requiredText?: string
  /** Also offer mechanisms that show the password without TLS. Default false. */
  readonly allowWithoutTls?: boolean
  /**
   * Returns the user, or a refusal; undefined is `535 5.7.8`. If it throws, the client gets `454 4.7.0`. It replaces
   * `checkPassword` of `accounts`.
   */
  authenticate?(credentials: Credentials, session: Session): AuthAnswer | Promise<AuthAnswer>
  /** The accounts that mechanisms ask. Each method also gets the session, as its last argument. Default: only `authenticate`. */
  readonly accounts?: AccountsWith<Session>
  /**
   * An exchange has ended, with any mechanism. Called before the client gets its reply. Use it to count failed logins:
   * the methods of `accounts` do not learn how an exchange ends that has several steps.
   */
  ended?(exchange: EndedExchange, session: Session): void
}

/** How an AUTH exchange ended. */
export interface EndedExchange {
  readonly mechanism: string
  /** 'given-up': the client left, cancelled it, or sent a malformed response. */
  readonly outcome: 'accepted' | 'refused' | 'given-up'
  /** The user that the client is logged in as. */
  readonly user?: string
}

/** `{ user }` is success. */
export type AuthAnswer = { readonly user: string } | Reply | undefined
