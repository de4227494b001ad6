/** The user's own hooks, and their names. */
import type { DataVerdict, Handlers, Message, Session } from '@postern/engine'
import type { MailRecord } from '@postern/storage'
import type { MailVerdicts } from './verification/message.ts'

/** A message as the `data` hook sees it. */
export interface IntakeMessage extends Message {
  /** Who sent it. Missing if nobody has found out. */
  readonly verdicts?: MailVerdicts
}

/** The user's own hooks. */
export interface IntakeHandlers extends Handlers {
  /** The message has arrived, or arrives; see {@link Handlers.data}. With verdicts it has arrived wholly. */
  data?(message: IntakeMessage, session: Session): DataVerdict | Promise<DataVerdict>
  /**
   * The store has committed the message, and the client waits for its 250. Use it to tell others of the message. It can't refuse: if it
   * throws, or does not answer in time (`keptTimeoutMs`), the client gets 250, and `error` gets the error.
   */
  kept?(record: MailRecord, session: Session): unknown
}

// A record, so that the compiler reports a missing hook.
const HANDLERS: Readonly<Record<keyof IntakeHandlers, true>> = {
  connect: true,
  secure: true,
  hello: true,
  mail: true,
  rcpt: true,
  data: true,
  kept: true,
  verify: true,
  expand: true,
  reset: true,
  close: true,
  refused: true,
  error: true,
}

/** The names of the hooks of {@link IntakeHandlers}, in the order of a session. */
export const HANDLER_NAMES: readonly string[] = Object.keys(HANDLERS)
