import type { ProtocolExtension } from '../protocol/extensions/extension.ts'
import type { Verdict } from './handlers.ts'
import type { Session } from './session/session.ts'

/** A service extension (RFC 5321 2.2): what {@link ProtocolExtension} says, and commands of its own. */
export interface Extension extends Omit<ProtocolExtension, 'verbs'> {
  /** Commands by upper-case verb. They are allowed in every state and change none; with no answer they are `250 2.0.0`. */
  readonly commands?: Readonly<Record<string, CommandHandler>>
}

/** @param argument What follows the verb and a blank, in printable ASCII; '' for nothing. */
export type CommandHandler = (argument: string, session: Session) => Verdict | Promise<Verdict>
