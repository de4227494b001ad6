/** The contract of a store of mail: what is asked of it, and what it answers. */
import type { IncomingMail, IncomingSession, RecipientPath } from './incoming.ts'
import type { MailRecord } from './record.ts'
import type { Expired, ExpireOptions, Retention } from './retention.ts'
import type { SweepOptions, Swept } from './sweep.ts'

/** Kept messages. Made by {@link mailStore}. */
export interface MailStore {
  /**
   * Reads the message to its end and keeps it. When the promise resolves, it is durable.
   *
   * @throws StorageError; what `message.read` throws passes through. Either way nothing is kept.
   */
  save(message: IncomingMail, session: IncomingSession): Promise<MailRecord>
  /**
   * Whether the recipient has a place in the store, so that it can be refused before its message comes. A store without this method
   * takes mail for all. A message to several, one of whom has no place any more when it is saved, is kept for none.
   *
   * @throws StorageError where that can't be told now
   */
  accepts?(forwardPath: RecipientPath): boolean | Promise<boolean>
  /** @throws StorageError `not-found`, `invalid-id`, or `corrupt` where the record can't be read */
  load(id: string): Promise<StoredMail>
  /** One page of records, newest first. */
  list(options?: ListMailOptions): Promise<MailPage>
  /**
   * Removes a message, bounced or not.
   *
   * @throws StorageError `not-found`, `invalid-id`
   */
  delete(id: string): Promise<void>
  /**
   * Takes a message out of the list and into the list of what has bounced. Once bounced, it stays as it is.
   *
   * @throws StorageError `not-found`, `invalid-id`, `corrupt`
   */
  bounce(id: string, bounce: { readonly reason: string; readonly at?: Date }): Promise<MailRecord>
  /**
   * Removes what was never committed. Safe beside running servers as long as no message takes `olderThanMs` to arrive.
   */
  sweep(options?: SweepOptions): Promise<Swept>
  /**
   * Removes the oldest messages, bounced or not, until every limit holds. Safe beside running servers and beside another
   * expiry; who reads a message that is being removed hears `not-found`.
   *
   * @throws RangeError when a limit is not a whole number from 1, or Infinity
   */
  expire(retention: Retention, options?: ExpireOptions): Promise<Expired>
}

/** A message as it is kept. */
export interface StoredMail {
  readonly record: MailRecord
  /**
   * The stored bytes, trace header first; each iteration reads them anew. After the last chunk size and SHA-256 are
   * compared with the record's.
   *
   * @throws StorageError `corrupt`, at the latest in place of the end; `not-found` when it was deleted meanwhile
   */
  readonly body: AsyncIterable<Uint8Array>
  /** The same, whole. */
  bytes(): Promise<Uint8Array>
  /** Reads the message for nothing but the comparison. */
  verify(): Promise<void>
}

export interface ListMailOptions {
  /** 1 to 1,000. Default 100. */
  readonly limit?: number
  /** From an earlier page. It stays good while messages come and go, also when the one it names is deleted. */
  readonly cursor?: string
  /** The messages that bounced, in place of those that did not. Default false. */
  readonly bounced?: boolean
}

export interface MailPage {
  /** Newest first. May be fewer than asked for, even none, with more to come. */
  readonly records: readonly MailRecord[]
  /** Ids of messages on this page whose record can't be read. */
  readonly corrupt: readonly string[]
  /** Present where there may be more. */
  readonly cursor?: string
}
