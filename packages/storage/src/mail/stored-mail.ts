/**
 * Reads a stored message. Each read to the end compares size and digest. So if a caller gets all bytes without an
 * error, they are the bytes that the server answered 250 for.
 */
import { only } from '../blob/bytes-reader.ts'
import type { BlobStore } from '../blob/contract.ts'
import { isStorageError, StorageError } from '../blob/error.ts'
import { keysOf } from '../record/layout.ts'
import type { StoredMail } from './contract.ts'
import type { MailRecord } from '../record/record.ts'
import { verified } from '../record/verified.ts'

/** A message whose bytes are in memory and were checked. */
export function heldMail(record: MailRecord, bytes: Uint8Array): StoredMail {
  return {
    record,
    body: { [Symbol.asyncIterator]: () => only(bytes) },
    bytes: () => Promise.resolve(bytes),
    verify: () => Promise.resolve(),
  }
}

/** The message that belongs to a record. */
export class KeptMail implements StoredMail {
  readonly record: MailRecord
  readonly body: AsyncIterable<Uint8Array>
  readonly #blobs: Pick<BlobStore, 'read' | 'head'>

  constructor(blobs: Pick<BlobStore, 'read' | 'head'>, record: MailRecord) {
    this.record = record
    this.#blobs = blobs
    this.body = { [Symbol.asyncIterator]: () => this.#read() }
  }

  async bytes(): Promise<Uint8Array> {
    let whole: Uint8Array | undefined
    let at = 0
    for await (const chunk of this.body) {
      // A small message is one chunk. It needs no copy, because the caller may keep chunks.
      if (chunk.length === this.record.size) whole = chunk
      else (whole ??= new Uint8Array(this.record.size)).set(chunk, at)
      at += chunk.length
    }
    return whole ?? new Uint8Array(0)
  }

  async verify(): Promise<void> {
    const chunks = this.body[Symbol.asyncIterator]()
    while ((await chunks.next()).done !== true);
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    yield* verified(await this.#open(), this.record, `message ${this.record.id}`)
  }

  async #open(): ReturnType<BlobStore['read']> {
    const { id } = this.record
    const keys = keysOf(id)
    try {
      return await this.#blobs.read(keys.bytes)
    } catch (error) {
      if (!isStorageError(error, 'not-found')) throw error
      // A delete removes the envelope first. So if the envelope is still there, the bytes should be too.
      const isThere = (await this.#blobs.head(keys.envelope)) ?? (await this.#blobs.head(keys.bounced))
      if (isThere === undefined) throw error
      throw new StorageError('corrupt', `message ${id}: its bytes are missing`, { cause: error })
    }
  }
}
