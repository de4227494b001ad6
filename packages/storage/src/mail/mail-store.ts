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
import { type BlobStore, type BlobWriter, checkLimit, type WriteOptions } from '../blob/contract.ts'
import { Digest } from '../blob/digest.ts'
import { isStorageError, StorageError } from '../blob/error.ts'
import { type IncomingMail, type IncomingSession, type MailFacts, recordOf, sessionFactsOf } from './incoming.ts'
import { keysOf, timeOf } from './layout.ts'
import type { ListMailOptions, MailPage, MailStore, StoredMail } from './contract.ts'
import type { MailRecord } from './record.ts'
import { newestIds } from './newest.ts'
import { decodeRecord, encodeRecord, readWhole } from './encoding.ts'
import { removeMail } from './removal.ts'
import { type Expired, type ExpireOptions, expireMail, type Retention } from './retention.ts'
import { KeptMail } from './stored-mail.ts'
import { sweepMail, type SweepOptions, type Swept } from './sweep.ts'

const DEFAULT_LIMIT = 100
const READS_AT_ONCE = 16

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
    const sessionFacts = sessionFactsOf(session)
    const bytes = this.#blobs.write(keys.bytes, { contentType: 'message/rfc822', hasUniqueKey: true })
    let record: MailRecord
    let encoded: Uint8Array
    try {
      const stored = await copy(message, bytes)
      const facts = message.facts?.()
      record = recordOf(message, sessionFacts, stored, facts instanceof Promise ? await inTime(facts, message) : facts)
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

/** Waits for facts of a message. @throws what reading does, where that took too long: its sender was told that it failed */
async function inTime(facts: Promise<MailFacts>, message: IncomingMail): Promise<MailFacts> {
  const found = await facts
  await message.read()
  return found
}

/** Writes the whole message, trace header first. */
async function copy(message: IncomingMail, writer: BlobWriter): Promise<Pick<MailRecord, 'size' | 'sha256'>> {
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
