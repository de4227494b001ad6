/**
 * What a user of the engine writes: an object of optional methods, each given the session, each able to refuse.
 *
 * A hook answers with nothing (go on), or with a Reply: 2xx goes on with that text, 4xx and 5xx refuse. It may answer at
 * once or later; an answer at once costs nothing. A hook that throws is reported to `error` and becomes `451 4.3.0`, so
 * that no client ever reads an exception's text.
 */
import type { Endpoint, TlsInfo } from '../duplex.ts'
import type { ForwardPath, ReversePath } from '../protocol/grammar/envelope.ts'
import type { Hello } from '../protocol/server/event.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { Accounts, Mechanism } from '../sasl/mechanism.ts'
import type { Credentials, MechanismName } from '../sasl/mechanisms.ts'
import type { Message } from './session/message.ts'
import type { Session } from './session/session.ts'

/** What a hook answers. */
export type Verdict = Reply | undefined | void

/** A command or a connection that was refused, by the engine or by a hook. */
export interface RefusedCommand {
  /**
   * In upper case, without argument: what AUTH carries never stands here. '' for a connection that was turned away or disconnected, and for
   * a line that is no command.
   */
  readonly verb: string
  /** The reply. The client may have gone before it was sent. */
  readonly reply: Reply
  /** Who was refused. */
  readonly remote: Endpoint
  /** Whether a hook gave the reply; otherwise the engine did. */
  readonly byHook: boolean
}

export interface Handlers {
  /** A client connected; nothing was sent yet. A refusal is sent in place of the greeting, and closes; another answer changes nothing. */
  connect?(session: Session): Verdict | Promise<Verdict>
  /** A TLS handshake is done: implicit TLS before the greeting, or STARTTLS. A refusal answers the next command and closes. */
  secure?(tls: TlsInfo, session: Session): Verdict | Promise<Verdict>
  /** HELO or EHLO. An answer that does not refuse changes nothing: the reply lists the extensions. */
  hello?(hello: Hello, session: Session): Verdict | Promise<Verdict>
  /** MAIL. `session.envelope` is the one that is being proposed. */
  mail?(reversePath: ReversePath, session: Session): Verdict | Promise<Verdict>
  /** RCPT. `session.envelope` holds the recipients accepted so far. */
  rcpt?(forwardPath: ForwardPath, session: Session): Verdict | Promise<Verdict>
  /**
   * A message begins to arrive. When the hook is done, its answer is the answer to the message: 250 promises that it is
   * kept (RFC 5321 6.1), so answer only once that is true.
   */
  data?(message: Message, session: Session): Verdict | Promise<Verdict>
  /** VRFY. With no answer it is 252. */
  verify?(argument: string, session: Session): Verdict | Promise<Verdict>
  /** EXPN. With no answer it is 502. */
  expand?(argument: string, session: Session): Verdict | Promise<Verdict>
  /** A transaction is given up by RSET, or by a new HELO or EHLO. `session.envelope` is still there. */
  reset?(session: Session): void | Promise<void>
  /** The connection is over, whatever ended it. What it answers goes to nobody. */
  close?(session: Session): void | Promise<void>
  /**
   * A client was refused: each reply of 4xx and 5xx but `421 4.3.2` at shutdown. Use it for a log: it can't change the reply. A
   * connection over the limits has no session.
   */
  refused?(refused: RefusedCommand, session: Session | undefined): void
  /**
   * A hook threw, or a connection broke in a way that is not the client's doing. A hook that was late comes as a `HookTimeoutError`, a
   * TLS handshake or a proxy's header that failed as an {@link ArrivalError}.
   */
  error?(error: unknown, session: Session | undefined): void
}

/** AUTH (RFC 4954). At least one of `authenticate` and `accounts` is there, for a mechanism to ask. */
export interface AuthOptions {
  /** On offer, in this order: names of the engine's, and your own. Default: each of the engine's that has accounts to ask. */
  readonly mechanisms?: readonly (MechanismName | Mechanism)[]
  /** Refuse MAIL and the rest until AUTH has succeeded. Default false. */
  readonly required?: boolean
  /** Offer mechanisms that show the password also without TLS. Default false. */
  readonly allowWithoutTls?: boolean
  /** Who this is, or a refusal; undefined is `535 5.7.8`. A throw is `454 4.7.0`. It stands for `checkPassword` of `accounts`. */
  authenticate?(credentials: Credentials, session: Session): AuthAnswer | Promise<AuthAnswer>
  /** What mechanisms ask. Default: `authenticate` alone. */
  readonly accounts?: Accounts
}

/** `{ user }` is success. */
export type AuthAnswer = { readonly user: string } | Reply | undefined
