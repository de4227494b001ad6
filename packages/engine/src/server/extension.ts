import type { Endpoint } from '../duplex.ts'
import type { ProtocolExtension, VerbRules } from '../protocol/extensions/extension.ts'
import type { Verdict } from './handlers.ts'
import type { Session } from './session/session.ts'

/** A service extension (RFC 5321 2.2): what {@link ProtocolExtension} says, and commands of its own. */
export interface Extension extends Omit<ProtocolExtension, 'verbs'> {
  /**
   * Commands by upper-case verb. A handler alone is allowed in every state and changes none; one with rules may come earlier,
   * and may change the session. With no answer they are `250 2.0.0`, or what their effect calls for.
   */
  readonly commands?: Readonly<Record<string, CommandHandler | ExtensionCommand>>
}

/**
 * Answers a command.
 *
 * @param argument What follows the verb and a blank, in printable ASCII; '' for nothing.
 * @param change What the command is to change of the session. It counts if the command is accepted.
 */
export type CommandHandler = (argument: string, session: Session, change: SessionChange) => Verdict | Promise<Verdict>

/** A command, when it may come, and what it does to the session. */
export interface ExtensionCommand extends VerbRules {
  /**
   * With no answer, a command whose effect is 'hello' gets the reply to EHLO after the `hello` hook was asked, and one whose effect is
   * 'restart' the greeting after the `connect` hook was asked: a refusal there counts as it does at the beginning.
   */
  readonly handle: CommandHandler
}

/** What a command changes of its session. Fill in what is to change. */
export interface SessionChange {
  /** Who the client is, if a proxy says so. Its place among all connections stays that of the connection. */
  remote?: Endpoint
  /** Who the client has logged in as; it then counts as authenticated. */
  user?: string
}
