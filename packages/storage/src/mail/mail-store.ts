/**
 * Keeps messages in any blob store.
 *
 * A message is two blobs (layout.ts says where): first the bytes are written, then the envelope, which is the commit.
 * This order has four results:
 * - A listing of envelopes never shows half a message. The server may answer 250 once the envelope is durable.
 * - A delete removes the envelope first.
 * - A bounce writes the envelope to its second place before it removes it from the first. If it dies in between, the
 *   envelope is in both places, and bouncing the message again finishes the work.
 * - Bytes without an envelope belong to no message: a writer died, or a delete. A sweep removes them once they are so
 *   old that no writer is about to write their envelope.
 */
import { ahead } from '../blob/ahead.ts'
import { type BlobStore, type BlobWriter, checkLimit, type WriteOptions } from '../blob/contract.ts'
import { Digest } from '../blob/digest.ts'
import { isStorageError, StorageError } from '../blob/error.ts'
import {
  type IncomingMail,
  type IncomingSession,
  type MailFacts,
  recordOf,
  sessionFactsOf,
} from '../record/incoming.ts'
import { type AttachmentStore, attachmentStore } from './attachments.ts'
import { keysOf, timeOf } from '../record/layout.ts'
import type {
  ListMailOptions,
  MailPage,
  StoredMail,
  WalkableMailStore,
  WalkedMail,
  WalkMailOptions,
} from './contract.ts'
import type { MailRecord } from '../record/record.ts'
import { newestIds } from './newest.ts'
import { type IdRange, oldestIds } from './range.ts'
import { decodeRecord, encodeRecord, readWhole } from '../record/encoding.ts'
import { attachmentKeys, removeMail } from '../upkeep/removal.ts'
import { type Expired, type ExpireOptions, expireMail, type Retention } from '../upkeep/retention.ts'
import { heldMail, KeptMail } from './stored-mail.ts'
import { sweepMail, type SweepOptions, type Swept } from '../upkeep/sweep.ts'

const DEFAULT_LIMIT = 100
const READS_AT_ONCE = 16

/** Makes a store of mail on any {@link BlobStore}. */
export function mailStore(blobs: BlobStore): WalkableMailStore {
  return new BlobMailStore(blobs)
}

class BlobMailStore implements WalkableMailStore {
  readonly attachments: AttachmentStore
  readonly #blobs: BlobStore

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
    this.attachments = attachmentStore(blobs)
  }

  async save(message: IncomingMail, session: IncomingSession): Promise<MailRecord> {
    const keys = keysOf(message.id)
    const sessionFacts = sessionFactsOf(session)
    const bytes = this.#blobs.write(keys.bytes, { contentType: 'message/rfc822', hasUniqueKey: true })
    let record: MailRecord
    let encoded: Uint8Array
    let both: Promise<void> | undefined
    try {
      const stored = await copy(message, bytes)
      const facts = message.facts?.()
      record = recordOf(message, sessionFacts, stored, facts instanceof Promise ? await inTime(facts, message) : facts)
      encoded = encodeRecord(record)
      both = this.#blobs.commitBoth?.(bytes, { key: keys.envelope, bytes: encoded })
      await (both ?? bytes.commit())
    } catch (error) {
      await bytes.abort()
      throw error
    }
    try {
      // If a commit took too long, the engine has told the client that the message failed. Then `read` throws.
      const isInTime = message.read()
      if (isInTime instanceof Promise) await isInTime
      if (both !== undefined) return record
      await this.#saveRecord(keys.envelope, encoded, { hasUniqueKey: true })
      await message.read()
    } catch (error) {
      if (!isStorageError(error, 'exists')) await removeMail(this.#blobs, keys, []).catch(() => undefined)
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
    const ids: string[] = []
    // Asks for one id more, because that shows whether there is another page.
    for await (const id of newestIds(this.#blobs, { bounced, before, sinceMs: 0 })) if (ids.push(id) > limit) break
    const cursor = ids.length > limit ? ids[limit - 1] : undefined
    const records: MailRecord[] = []
    const corrupt: string[] = []
    for await (const { id, record } of ahead(ids.slice(0, limit), READS_AT_ONCE, (id) =>
      look(this.#blobs, id, bounced),
    )) {
      if (record === 'corrupt') corrupt.push(id)
      else if (record !== undefined) records.push(record)
    }
    return { records, corrupt, ...(cursor !== undefined && { cursor }) }
  }

  async *walk(options: WalkMailOptions = {}): AsyncGenerator<WalkedMail> {
    const { order = 'newest-first', bounced = false, before, since, isWanted = () => true, heldBytes = 0 } = options
    if (before !== undefined) timeOf(before)
    const range: IdRange = { bounced, before, sinceMs: since?.getTime() ?? 0 }
    const view = this.#blobs.view?.() ?? this.#blobs
    const ids = order === 'newest-first' ? newestIds(view, range) : oldestIds(view, range)
    const viewed: Pick<BlobStore, 'read' | 'head'> = {
      read: (key) => view.read(key),
      head: (key) => this.#blobs.head(key),
    }
    const read = async (id: string): Promise<WalkedMail | undefined> => {
      const { record } = await look(view, id, bounced)
      if (record === undefined) return undefined
      if (record === 'corrupt') return { id, mail: undefined }
      // Reads from the store and not from the view, because the caller may read such a message long after the walk.
      const mail = new KeptMail(this.#blobs, record)
      return { id, mail: record.size > heldBytes ? mail : ((await held(new KeptMail(viewed, record))) ?? mail) }
    }
    for await (const found of ahead(filtered(ids, isWanted), READS_AT_ONCE, read)) if (found !== undefined) yield found
  }

  async delete(id: string): Promise<void> {
    const keys = keysOf(id)
    const envelope = (await this.#blobs.head(keys.envelope)) ?? (await this.#blobs.head(keys.bounced))
    if (envelope === undefined) throw new StorageError('not-found', `no message ${id}`)
    await removeMail(this.#blobs, keys, await attachmentKeys(this.#blobs, id))
  }

  async bounce(id: string, bounce: { readonly reason: string; readonly at?: Date }): Promise<MailRecord> {
    const keys = keysOf(id)
    const found = await this.#find(id)
    if (found.bounced) {
      // The process that bounced the message may have died before its delete was durable.
      await this.#blobs.delete(keys.envelope)
      return found.record
    }
    const at = (bounce.at ?? new Date()).toISOString()
    let record: MailRecord = { ...found.record, bounce: { reason: bounce.reason, at } }
    try {
      await this.#saveRecord(keys.bounced, encodeRecord(record))
    } catch (error) {
      if (!isStorageError(error, 'exists')) throw error
      // Another bounce wrote the envelope, and may have died before it deleted the first one.
      record = await readRecord(this.#blobs, keys.bounced, id)
    }
    if ((await this.#blobs.head(keys.bytes)) === undefined && (await this.#blobs.head(keys.envelope)) === undefined) {
      // The message was deleted meanwhile, and the delete may not have seen this envelope (removal.ts).
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
      return { record: await readRecord(this.#blobs, keys.envelope, id), bounced: false }
    } catch (error) {
      if (!isStorageError(error, 'not-found')) throw error
    }
    try {
      return { record: await readRecord(this.#blobs, keys.bounced, id), bounced: true }
    } catch (error) {
      if (!isStorageError(error, 'not-found')) throw error
      throw new StorageError('not-found', `no message ${id}`, { cause: error })
    }
  }
}

async function readRecord(blobs: Pick<BlobStore, 'read'>, key: string, id: string): Promise<MailRecord> {
  return decodeRecord(await readWhole(await blobs.read(key), id), id)
}

/** Reads one record of a list; undefined if it was deleted or moved meanwhile. */
async function look(
  blobs: Pick<BlobStore, 'read'>,
  id: string,
  bounced: boolean,
): Promise<{ id: string; record: MailRecord | 'corrupt' | undefined }> {
  const keys = keysOf(id)
  try {
    return { id, record: await readRecord(blobs, bounced ? keys.bounced : keys.envelope, id) }
  } catch (error) {
    if (isStorageError(error, 'corrupt')) return { id, record: 'corrupt' }
    if (isStorageError(error, 'not-found')) return { id, record: undefined }
    throw error
  }
}

/** Reads a small message into memory. Returns undefined if that fails. The caller then gets the error when it reads the message. */
async function held(mail: KeptMail): Promise<StoredMail | undefined> {
  try {
    return heldMail(mail.record, await mail.bytes())
  } catch {
    return undefined
  }
}

async function* filtered(ids: AsyncIterable<string>, isWanted: (id: string) => boolean): AsyncGenerator<string> {
  for await (const id of ids) if (isWanted(id)) yield id
}

/**
 * Waits for the facts about a message.
 * @throws the error of `read` if that took too long, because the client was told that the message failed
 */
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
    // A writer or a reader that answers at once returns no promise. Then there is nothing to wait for.
    const written = writer.write(bytes)
    if (written !== undefined) await written
    const next = message.read()
    bytes = next instanceof Promise ? await next : next
  }
  return { size: digest.size, sha256: digest.finish() }
}
