/**
 * The hook between engine and store.
 */
import { type Message, Refusal, type Reply, reply, type Session } from '@postern/engine'
import type { BlobStore } from '../blob/contract.ts'
import { isStorageError } from '../blob/error.ts'
import type { RecipientPath } from './incoming.ts'
import type { MailStore } from './contract.ts'
import type { MailRecord } from './record.ts'
import { mailStore } from './mail-store.ts'

export interface KeepOptions {
  /**
   * Told of each message, after it is durable and before its client is. What it throws is ignored: the message is kept.
   */
  kept?(record: MailRecord, session: Session): void
}

const NO_SPACE = reply(452, '4.3.1', 'Out of storage space, try again later')
const NO_MAILBOX = reply(550, '5.1.1', 'No such mailbox here')
const FAILED = reply(451, '4.3.0', 'Could not store the message, try again later')

/**
 * A `data` hook that keeps every message, and answers `250 2.0.0 OK queued as <id>` once it is durable.
 *
 * @throws Refusal (from the hook) `452 4.3.1` when the store has no room, `451 4.3.0` when it fails in any other way,
 * with the failure as its cause. What reading the message throws passes through. Nothing is kept then.
 */
export function keep(
  store: BlobStore | MailStore,
  options: KeepOptions = {},
): (message: Message, session: Session) => Promise<Reply> {
  const mail = 'save' in store ? store : mailStore(store)
  return async (message, session) => {
    let record: MailRecord
    try {
      record = await mail.save(message, session)
    } catch (error) {
      if (!isStorageError(error)) throw error
      throw new Refusal(error.code === 'no-space' ? NO_SPACE : FAILED, { cause: error })
    }
    try {
      options.kept?.(record, session)
    } catch {
      // A refusal now would have the client send again what is kept.
    }
    return reply(250, '2.0.0', `OK queued as ${record.id}`)
  }
}

/**
 * An `rcpt` hook that refuses who has no place in the store: `550 5.1.1`. It goes with {@link keep} wherever a store has a say on
 * recipients, as Maildirs do.
 *
 * @throws StorageError (from the hook) where that can't be told now, which the engine makes `451 4.3.0`
 */
export function refuseUnknown(
  store: BlobStore | MailStore,
): (forwardPath: RecipientPath) => Reply | undefined | Promise<Reply | undefined> {
  if (!('save' in store)) return () => undefined
  return (forwardPath) => {
    const accepted = store.accepts?.(forwardPath) ?? true
    return typeof accepted === 'boolean' ? verdictOf(accepted) : accepted.then(verdictOf)
  }
}

function verdictOf(accepted: boolean): Reply | undefined {
  return accepted ? undefined : NO_MAILBOX
}
