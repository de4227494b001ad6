/**
 * Kept messages, on any blob store.
 *
 * A message is two blobs (layout.ts says where): the bytes, then the envelope, whose appearance is the commit. From
 * this order everything follows:
 * - Who lists envelopes never sees half a message, and may take `250` for true once the envelope is durable.
 * - A delete goes backwards, envelope first.
 * - A bounce writes the envelope to its second place before it leaves the first. In between it is in both, and
 *   bouncing it again finishes the work.
 * - Bytes without an envelope are nobody's: a writer died, or a delete did. A sweep removes them once they are so old
 *   that no envelope is still on its way.
 */
import type { Message, Path, Session } from '@postern/engine'
import { type BlobStore, type BlobWriter, checkLimit, type WriteOptions } from './blob.ts'
import { Digest } from './digest.ts'
import { isStorageError, StorageError } from './error.ts'
import { keysOf, timeOf } from './layout.ts'
import type { MaildirPlaces, MailRecord } from './mail-record.ts'
import { newestIds } from './newest.ts'
import { decodeRecord, encodeRecord, factsOf, readWhole, recordOf } from './record-json.ts'
import { removeMail } from './removal.ts'
import { type Expired, type ExpireOptions, expireMail, type Retention } from './retention.ts'
import { KeptMail } from './stored-mail.ts'
import { sweepMail, type SweepOptions, type Swept } from './sweep.ts'

const DEFAULT_LIMIT = 100
const READS_AT_ONCE = 16

/** What `save` needs of a message. */
export type IncomingMail = Pick<Message, 'id' | 'envelope' | 'receivedAt' | 'trace' | 'read'> & {
  /** For the record, where the bytes are delivered to Maildirs. */
  readonly maildir?: MaildirPlaces
}
/** What `accepts` needs of a recipient. */
export type RecipientPath = Pick<Path, 'localPart' | 'domain' | 'literal'>
/** What `save` needs of a session. */
export type IncomingSession = Pick<Session, 'id' | 'remote' | 'local' | 'tls' | 'hello' | 'transmissionType' | 'user'>

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

/** Keeps mail in any {@link BlobStore}. */
export function mailStore(blobs: BlobStore): MailStore {
  return new BlobMailStore(blobs)
}

class BlobMailStore implements MailStore {
  readonly #blobs: BlobStore

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  async save(message: IncomingMail, session: IncomingSession): Promise<MailRecord> {
    const keys = keysOf(message.id)
    const facts = factsOf(session)
    const bytes = this.#blobs.write(keys.bytes, { contentType: 'message/rfc822', hasUniqueKey: true })
    let record: MailRecord
    let encoded: Uint8Array
    try {
      record = recordOf(message, facts, await copy(message, bytes))
      encoded = encodeRecord(record)
      const both = this.#blobs.commitBoth?.(bytes, { key: keys.envelope, bytes: encoded })
      await (both ?? bytes.commit())
      if (both !== undefined) return record
    } catch (error) {
      await bytes.abort()
      throw error
    }
    try {
      // Where all this took too long, its sender has been told that it failed. Then reading says so, and no envelope is written.
      await message.read()
      await this.#saveRecord(keys.envelope, encoded, { hasUniqueKey: true })
    } catch (error) {
      if (!isStorageError(error, 'exists')) await removeMail(this.#blobs, keys).catch(() => undefined)
      throw error
    }
    return record
  }

  async load(id: string): Promise<StoredMail> {
    return new KeptMail(this.#blobs, (await this.#find(id)).record)
  }

  async list(options: ListMailOptions = {}): Promise<MailPage> {
    const limit = checkLimit(options.limit ?? DEFAULT_LIMIT)
    const before = options.cursor
    if (before !== undefined) timeOf(before)
    const bounced = options.bounced ?? false
    // One more than asked for tells whether there is more.
    const ids = await newestIds(this.#blobs, { bounced, before, count: limit + 1 })
    const cursor = ids.length > limit ? ids[limit - 1] : undefined
    const records: MailRecord[] = []
    const corrupt: string[] = []
    for (let at = 0; at < Math.min(ids.length, limit); at += READS_AT_ONCE) {
      const some = ids.slice(at, Math.min(at + READS_AT_ONCE, limit))
      for (const result of await Promise.all(some.map((id) => this.#look(id, bounced)))) {
        if (typeof result === 'string') corrupt.push(result)
        else if (result !== undefined) records.push(result)
      }
    }
    return { records, corrupt, ...(cursor !== undefined && { cursor }) }
  }

  async delete(id: string): Promise<void> {
    const keys = keysOf(id)
    const envelope = (await this.#blobs.head(keys.envelope)) ?? (await this.#blobs.head(keys.bounced))
    if (envelope === undefined) throw new StorageError('not-found', `no message ${id}`)
    await removeMail(this.#blobs, keys)
  }

  async bounce(id: string, bounce: { readonly reason: string; readonly at?: Date }): Promise<MailRecord> {
    const keys = keysOf(id)
    const found = await this.#find(id)
    if (found.bounced) {
      // It left the first place, but maybe not for good: who bounced it may have been killed.
      await this.#blobs.delete(keys.envelope)
      return found.record
    }
    const at = (bounce.at ?? new Date()).toISOString()
    let record: MailRecord = { ...found.record, bounce: { reason: bounce.reason, at } }
    try {
      await this.#saveRecord(keys.bounced, encodeRecord(record))
    } catch (error) {
      if (!isStorageError(error, 'exists')) throw error
      // Somebody was quicker, or did not get to the next line.
      record = await this.#readRecord(keys.bounced, id)
    }
    if ((await this.#blobs.head(keys.bytes)) === undefined && (await this.#blobs.head(keys.envelope)) === undefined) {
      // Deleted since it was found, and maybe too early for the delete to see what was written here (removal.ts).
      await this.#blobs.delete(keys.bounced)
      throw new StorageError('not-found', `no message ${id}`)
    }
    await this.#blobs.delete(keys.envelope)
    return record
  }

  sweep(options: SweepOptions = {}): Promise<Swept> {
    return sweepMail(this.#blobs, options)
  }

  expire(retention: Retention, options: ExpireOptions = {}): Promise<Expired> {
    return expireMail(this.#blobs, retention, options)
  }

  async #saveRecord(key: string, bytes: Uint8Array, options: WriteOptions = {}): Promise<void> {
    const writer = this.#blobs.write(key, { ...options, size: bytes.length, contentType: 'application/json' })
    try {
      await writer.write(bytes)
      await writer.commit()
    } catch (error) {
      await writer.abort()
      throw error
    }
  }

  async #find(id: string): Promise<{ record: MailRecord; bounced: boolean }> {
    const keys = keysOf(id)
    try {
      return { record: await this.#readRecord(keys.envelope, id), bounced: false }
    } catch (error) {
      if (!isStorageError(error, 'not-found')) throw error
    }
    try {
      return { record: await this.#readRecord(keys.bounced, id), bounced: true }
    } catch (error) {
      if (!isStorageError(error, 'not-found')) throw error
      throw new StorageError('not-found', `no message ${id}`, { cause: error })
    }
  }

  async #readRecord(key: string, id: string): Promise<MailRecord> {
    return decodeRecord(await readWhole(await this.#blobs.read(key), id), id)
  }

  /** For a list: the record, or the id where it is corrupt, or undefined where it was deleted or moved meanwhile. */
  async #look(id: string, bounced: boolean): Promise<MailRecord | string | undefined> {
    const keys = keysOf(id)
    try {
      return await this.#readRecord(bounced ? keys.bounced : keys.envelope, id)
    } catch (error) {
      if (isStorageError(error, 'corrupt')) return id
      if (isStorageError(error, 'not-found')) return undefined
      throw error
    }
  }
}

/** Writes the whole message, trace header first. */
async function copy(message: IncomingMail, writer: BlobWriter): Promise<{ size: number; sha256: string }> {
  const digest = new Digest()
  let bytes: Uint8Array | null = message.trace
  while (bytes !== null) {
    digest.update(bytes)
    // Neither side makes a promise where it has none to make, and then none is waited for.
    const written = writer.write(bytes)
    if (written !== undefined) await written
    const next = message.read()
    bytes = next instanceof Promise ? await next : next
  }
  return { size: digest.size, sha256: digest.finish() }
}
