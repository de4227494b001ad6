import type { Endpoint } from '../duplex.ts'
import type { ProtocolExtension, VerbRules } from '../protocol/extensions/extension.ts'
import type { ForwardedClient } from '../protocol/grammar/envelope.ts'
import type { Hello } from '../protocol/server/event.ts'
import type { Verdict } from './handlers.ts'
import type { ReverseDns, Session } from './session/session.ts'

/** A service extension (RFC 5321 2.2): a {@link ProtocolExtension} with commands of its own. */
export interface Extension extends Omit<ProtocolExtension, 'verbs'> {
  /**
   * Commands by upper-case verb. A handler alone is allowed in every state and changes none. A command with rules may
   * come earlier, and may change the session. Without an answer the client gets `250 2.0.0`, or the reply that belongs
   * to the command's effect.
   */
  readonly commands?: Readonly<Record<string, CommandHandler | ExtensionCommand>>
}

/**
 * Answers a command.
 * @param argument The text behind the verb and a blank, in printable ASCII; '' if there is none.
 * @param change Fill in what the command changes of the session. It counts if the command is accepted.
 */
export type CommandHandler = (argument: string, session: Session, change: SessionChange) => Verdict | Promise<Verdict>

/** A command: when it may come, and what it does to the session. */
export interface ExtensionCommand extends VerbRules {
  /**
   * Answers the command. If it gives no answer and the effect is 'hello', the `hello` hook is asked, and the client
   * gets the reply to EHLO. If the effect is 'restart', the `connect` hook is asked, and the client gets the greeting.
   * A refusal by the hook then has the same effect as at the beginning.
   */
  readonly handle: CommandHandler
}

/** What a command changes of its session. Fill in what is to change. */
export interface SessionChange {
  /** The client's address, if a proxy names it. The connection still has the place of its own address. */
  remote?: Endpoint
  /** What DNS says about that address, if the proxy tells it. */
  reverseDns?: ReverseDns
  /** The address that the client connected to, if a proxy names it. */
  local?: Endpoint
  /** The name that the client gave the proxy. It counts until the client greets. */
  hello?: Hello
  /** The client that sent the next message first. It is in the session until the end of that message. */
  forwarded?: ForwardedClient
  /** The user that the client has logged in as. The client then counts as authenticated. */
  user?: string
}
