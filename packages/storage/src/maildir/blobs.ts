/**
 * Maildirs as a store of blobs, so that the same store of mail works on top of them. Envelopes are files in a store by
 * time. Bytes are files in the mailboxes, where other programs move and remove them.
 *
 * - An envelope exists as long as one of its mailboxes has the message. So the list leaves out a message that a reader
 *   has removed, and a message that is still being delivered.
 * - Deleting the last envelope of a message deletes the message first. So a delete that was interrupted can be
 *   repeated.
 * - Bytes are not listed.
 */
import { constants } from 'node:fs'
import { readerOf } from '../blob/bytes-reader.ts'
import type {
  BlobInfo,
  BlobReader,
  BlobStore,
  BlobWriter,
  KeyBatch,
  KeyPage,
  ListOptions,
  WalkOptions,
  WriteOptions,
} from '../blob/contract.ts'
import { isStorageError, StorageError } from '../blob/error.ts'
import { diskError } from '../disk/disk.ts'
import type { Reading } from '../disk/reading.ts'
import type { FileStore } from '../fs/files/store.ts'
import { idOfBytes, idOfEnvelope, keysOf } from '../record/layout.ts'
import type { MaildirPlaces, MailRecord } from '../record/record.ts'
import { decodeRecord, readWhole } from '../record/encoding.ts'
import type { Delivery, MaildirDeps } from './delivery.ts'
import { withCrlf } from './line-ends.ts'
import type { Mailboxes } from './mailboxes.ts'
import { parseFileName } from './file-name.ts'
import { isMailbox } from './place.ts'

/** A record of a message that was delivered. */
type DeliveredRecord = MailRecord & { readonly maildir: MaildirPlaces }

export class MaildirBlobs implements BlobStore {
  readonly #records: FileStore
  readonly #mailboxes: Mailboxes
  readonly #reading: Reading

  constructor(records: FileStore, { mailboxes, reading }: Pick<MaildirDeps, 'mailboxes' | 'reading'>) {
    this.#records = records
    this.#mailboxes = mailboxes
    this.#reading = reading
  }

  write(key: string, options?: WriteOptions): BlobWriter {
    return this.#records.write(key, options)
  }

  async read(key: string): Promise<BlobReader> {
    const id = idOfBytes(key)
    if (id !== undefined) return this.#readMessage(id)
    const recordId = idOfEnvelope(key)
    if (recordId === undefined) return this.#records.read(key)
    const bytes = await this.#bytesOf(key, recordId)
    if (!(await this.#has(delivered(decodeRecord(bytes, recordId))))) {
      throw new StorageError('not-found', `${key}: the message is in no mailbox`)
    }
    return readerOf(bytes)
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    const id = idOfBytes(key) ?? idOfEnvelope(key)
    if (id === undefined) return this.#records.head(key)
    for (const each of idOfBytes(key) === undefined ? [key] : recordKeys(id)) {
      const info = await this.#records.head(each)
      if (info === undefined) continue
      try {
        if (await this.#has(delivered(decodeRecord(await this.#bytesOf(each, id), id)))) return info
      } catch (error) {
        if (isStorageError(error, 'not-found')) continue
        // A corrupt envelope counts as existing, so that it can be deleted.
        if (isStorageError(error, 'corrupt')) return info
        throw error
      }
    }
    return undefined
  }

  list(options?: ListOptions): Promise<KeyPage> {
    return this.#records.list(options)
  }

  walk(options?: WalkOptions): AsyncIterable<KeyBatch> {
    return this.#records.walk(options)
  }

  async delete(key: string): Promise<void> {
    const id = idOfEnvelope(key)
    if (id !== undefined && !(await this.#hasOther(key, id))) {
      const record = await this.#recordAt(key, id)
      if (record !== undefined) await this.#removeMessage(record)
    }
    await this.#records.delete(key)
  }

  async sweep(olderThanMs: number): Promise<number> {
    const before = Date.now() - olderThanMs
    const temporary = (await this.#records.sweep?.(olderThanMs)) ?? 0
    try {
      return temporary + (await this.#mailboxes.sweep(before))
    } catch (error) {
      throw diskError(error, `can't sweep ${this.#mailboxes.root}`)
    }
  }

  /** Returns the size of the message; undefined if it is in no mailbox, 0 if its envelope can't be read. */
  async sizeOf(id: string): Promise<number | undefined> {
    let size: number | undefined
    for (const key of recordKeys(id)) {
      if ((await this.#records.head(key)) === undefined) continue
      const record = await this.#recordAt(key, id)
      if (record === undefined) size = 0
      else if (await this.#has(record)) return record.size
    }
    return size
  }

  /** Makes a store of blobs that saves one message: committing its envelope also delivers it. */
  delivering(delivery: Delivery): BlobStore {
    const records = this.#records
    return {
      write(key, options) {
        if (idOfBytes(key) !== undefined) return delivery
        const writer = records.write(key, options)
        return {
          write: (bytes) => writer.write(bytes),
          abort: () => writer.abort(),
          async commit() {
            await writer.commit()
            await delivery.deliver()
          },
        }
      },
      delete: (key) => (idOfBytes(key) === undefined ? records.delete(key) : delivery.abort()),
      read: (key) => this.read(key),
      head: (key) => this.head(key),
      list: (options) => this.list(options),
      walk: (options) => this.walk(options),
    }
  }

  async #readMessage(id: string): Promise<BlobReader> {
    for (const key of recordKeys(id)) {
      const record = await this.#recordAt(key, id)
      if (record === undefined) continue
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW
      const file = await this.#reading.read(`message ${id}`, () => this.#mailboxes.open(record.maildir, flags))
      if (record.maildir.lineEnding === 'CRLF') return file
      // If the length of the file has changed, the size of the message has changed by the same amount.
      const size = record.size + file.size - (parseFileName(record.maildir.file)?.size ?? 0)
      return { ...file, size, body: withCrlf(file.body) }
    }
    throw new StorageError('not-found', `no message ${id}`)
  }

  async #removeMessage(record: DeliveredRecord): Promise<void> {
    try {
      await this.#mailboxes.remove(record.maildir)
    } catch (error) {
      throw diskError(error, `can't delete message ${record.id}`)
    }
  }

  /** Returns whether the message is in a mailbox. */
  async #has(record: DeliveredRecord): Promise<boolean> {
    try {
      return await this.#mailboxes.has(record.maildir)
    } catch (error) {
      throw diskError(error, `can't look for message ${record.id}`)
    }
  }

  /** Returns whether the message has another envelope: a bounce is moving it. */
  async #hasOther(key: string, id: string): Promise<boolean> {
    const other = recordKeys(id).filter((each) => each !== key)
    return other.length === 1 && (await this.#records.head(other[0] as string)) !== undefined
  }

  /** Reads the record at this key; undefined if there is none, or if it can't be read. */
  async #recordAt(key: string, id: string): Promise<DeliveredRecord | undefined> {
    try {
      return delivered(decodeRecord(await this.#bytesOf(key, id), id))
    } catch (error) {
      if (isStorageError(error, 'not-found') || isStorageError(error, 'corrupt')) return undefined
      throw error
    }
  }

  async #bytesOf(key: string, id: string): Promise<Uint8Array> {
    return readWhole(await this.#records.read(key), id)
  }
}

/** Returns the keys that the envelope of a message can have. A bounce moves it from the first to the second. */
function recordKeys(id: string): string[] {
  const { envelope, bounced } = keysOf(id)
  return [envelope, bounced]
}

/** Checks the places in a record, because people edit files. @throws StorageError `corrupt` */
function delivered(record: MailRecord): DeliveredRecord {
  const { maildir } = record
  const isSound =
    maildir !== undefined &&
    parseFileName(maildir.file)?.unique.includes(`.${record.id}.`) === true &&
    maildir.mailboxes.length > 0 &&
    maildir.mailboxes.every(isMailbox)
  if (!isSound) throw new StorageError('corrupt', `envelope of ${record.id}: record.maildir is not a valid place`)
  return { ...record, maildir }
}
