/** The contract of a store of mail. */
import type { AttachmentStore } from './attachments.ts'
import type { IncomingMail, IncomingSession, RecipientPath } from '../record/incoming.ts'
import type { MailRecord } from '../record/record.ts'
import type { Expired, ExpireOptions, Retention } from '../upkeep/retention.ts'
import type { SweepOptions, Swept } from '../upkeep/sweep.ts'

/** A store of messages. Made by {@link mailStore}. */
export interface MailStore {
  /**
   * Reads the message to its end and keeps it. When the promise resolves, the message is durable.
   *
   * @throws StorageError, and what `message` throws. Then nothing is kept.
   */
  save(message: IncomingMail, session: IncomingSession): Promise<MailRecord>
  /**
   * Returns whether the recipient has a mailbox in the store, so that a server can refuse it before the message comes.
   * A store without this method takes mail for all. If a recipient's mailbox is gone when the message is saved, the
   * message is kept for no recipient.
   *
   * @throws StorageError if the store can't tell now
   */
  accepts?(forwardPath: RecipientPath): boolean | Promise<boolean>
  /** The attachments that are kept apart. {@link mailStore} has it. A store of Maildirs has not, because mail programs know no such files. */
  readonly attachments?: AttachmentStore
  /** @throws StorageError `not-found`, `invalid-id`, or `corrupt` if the record can't be read */
  load(id: string): Promise<StoredMail>
  /** Returns one page of records, newest first. */
  list(options?: ListMailOptions): Promise<MailPage>
  /**
   * Iterates over messages. This costs less than pages of `list`, because the store lists the keys once, and reads the next few
   * records while the caller works. The walk may leave out a message that is saved, deleted or moved meanwhile. {@link mailStore} and the
   * store of Maildirs have this method.
   *
   * @throws StorageError `invalid-id` at the first step, if `before` is not an id
   */
  walk?(options?: WalkMailOptions): AsyncIterable<WalkedMail>
  /**
   * Removes a message, even if it has bounced.
   * @throws StorageError `not-found`, `invalid-id`
   */
  delete(id: string): Promise<void>
  /**
   * Moves a message from the list to the list of bounced messages. A message that has bounced is not changed again.
   *
   * @throws StorageError `not-found`, `invalid-id`, `corrupt`
   */
  bounce(id: string, bounce: { readonly reason: string; readonly at?: Date }): Promise<MailRecord>
  /**
   * Removes data that was never committed. It may run beside servers, if no message takes as long as `olderThanMs` to
   * arrive.
   */
  sweep(options?: SweepOptions): Promise<Swept>
  /**
   * Removes the oldest messages until no limit is exceeded. Bounced messages count too. It may run beside servers and
   * beside another expiry. A reader of a message that is being removed gets `not-found`.
   *
   * @throws RangeError if a limit is not a whole number from 1, or Infinity
   */
  expire(retention: Retention, options?: ExpireOptions): Promise<Expired>
}

/** A store of mail that can iterate over its messages. */
export type WalkableMailStore = MailStore & Required<Pick<MailStore, 'walk'>>

/** A message that is kept. */
export interface StoredMail {
  readonly record: MailRecord
  /**
   * The stored bytes, trace header first. Each iteration reads them again. After the last chunk it compares size and SHA-256
   * with those of the record.
   *
   * @throws StorageError `corrupt`, at the latest in place of the end; `not-found` if the message was deleted meanwhile
   */
  readonly body: AsyncIterable<Uint8Array>
  /** Returns all stored bytes. */
  bytes(): Promise<Uint8Array>
  /** Reads the message only to compare size and SHA-256. */
  verify(): Promise<void>
}

export interface ListMailOptions {
  /** 1 to 1,000. Default 100. */
  readonly limit?: number
  /**
   * The cursor of an earlier page. It stays valid while messages come and go, even if the message that it names is
   * deleted.
   */
  readonly cursor?: string
  /** True lists the messages that bounced, in place of the others. Default false. */
  readonly bounced?: boolean
}

export interface MailPage {
  /** Newest first. There may be fewer than asked for, or none, even if more pages follow. */
  readonly records: readonly MailRecord[]
  /** Ids of the messages on this page whose record can't be read. */
  readonly corrupt: readonly string[]
  /** Present if there may be more. */
  readonly cursor?: string
}

export interface WalkMailOptions {
  /** The order of the ids. An id has the time at which its message began to arrive. Default `newest-first`. */
  readonly order?: 'newest-first' | 'oldest-first'
  /** True walks over the messages that bounced, in place of the others. Default false. */
  readonly bounced?: boolean
  /** Only messages with smaller ids than this one. The message of this id need not exist. */
  readonly before?: string
  /** Only messages whose ids were made at this time or later. The store does not read older ones. */
  readonly since?: Date
  /** Called with each id before its record is read. If it returns false, the message is neither read nor yielded. */
  readonly isWanted?: (id: string) => boolean
  /**
   * The size of a small message, in bytes. The store reads and checks a message up to this size together with its record, so that the
   * caller does not wait for each. Up to 16 such messages are in memory. Default 0: none.
   */
  readonly heldBytes?: number
}

export interface WalkedMail {
  readonly id: string
  /** Undefined if the record can't be read. */
  readonly mail: StoredMail | undefined
}
