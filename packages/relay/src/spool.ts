/** The bytes of messages that are to be sent on, in a blob store. The queue has everything else about them. */
import { type BlobStore, isStorageError } from '@postern/storage'
import { joined, type Pieces } from './pieces.ts'

const PREFIX = 'spool/'
const ID = /^[A-Za-z0-9._-]{1,128}$/
/** Messages that are read before the store looks at their folder again. */
const VIEW_READS = 100

export class Spool {
  readonly #blobs: BlobStore
  #view: Pick<BlobStore, 'read'> | undefined
  #viewReads = 0

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  /** Keeps a message. When the promise resolves, it is durable. Returns its size. @throws StorageError, and what reading throws */
  async save(id: string, pieces: Pieces): Promise<number> {
    const writer = this.#blobs.write(keyOf(id), { contentType: 'message/rfc822', hasUniqueKey: true })
    let size = 0
    try {
      for await (const piece of pieces) {
        size += piece.length
        await writer.write(piece)
      }
      await writer.commit()
      return size
    } catch (error) {
      await writer.abort()
      throw error
    }
  }

  /** Reads a message from its beginning. @throws StorageError `not-found` if it is not there */
  async *open(id: string): AsyncGenerator<Uint8Array, void, undefined> {
    yield* (await this.#blobs.read(keyOf(id))).body
  }

  /**
   * Reads a message of at most so many octets as a whole. Returns undefined if it is larger.
   * @throws StorageError `not-found` if it is not there
   */
  async whole(id: string, maxOctets: number): Promise<Uint8Array | undefined> {
    const reader = await this.#viewed().read(keyOf(id))
    if (reader.size > maxOctets) {
      await reader.close()
      return undefined
    }
    const pieces: Uint8Array[] = []
    for await (const piece of reader.body) pieces.push(piece)
    return pieces.length === 1 ? pieces[0] : joined(pieces)
  }

  #viewed(): Pick<BlobStore, 'read'> {
    if (this.#view === undefined || ++this.#viewReads > VIEW_READS) {
      this.#view = this.#blobs.view?.() ?? this.#blobs
      this.#viewReads = 0
    }
    return this.#view
  }

  /** Removes a message, if it is there. */
  async remove(id: string): Promise<void> {
    await this.#blobs.delete(keyOf(id))
  }

  /** Returns whether an error says that the message is not there. */
  static isMissing(error: unknown): boolean {
    return isStorageError(error, 'not-found')
  }

  /**
   * Removes messages that no entry names. A crash between the message and its entry leaves one; its client got no 250.
   * @param isNeeded Returns whether an entry names this message
   * @param before Messages that were written later are left alone, because their entry may be on its way
   * @param signal Ends the sweep early
   * @returns how many were removed
   */
  async sweep(isNeeded: (id: string) => Promise<boolean>, before: Date, signal?: AbortSignal): Promise<number> {
    let removed = 0
    for await (const keys of this.#keys()) {
      for (const key of keys) {
        if (signal?.aborted === true) return removed
        if (await isNeeded(key.slice(PREFIX.length))) continue
        const info = await this.#blobs.head(key)
        if (info === undefined || info.modifiedAt >= before) continue
        await this.#blobs.delete(key)
        removed++
      }
    }
    return removed
  }

  async *#keys(): AsyncGenerator<readonly string[], void, undefined> {
    if (this.#blobs.walk !== undefined) {
      for await (const { keys } of this.#blobs.walk({ prefix: PREFIX, order: 'any' })) yield keys
      return
    }
    let cursor: string | undefined
    do {
      const page = await this.#blobs.list({ prefix: PREFIX, ...(cursor !== undefined && { cursor }) })
      yield page.keys
      cursor = page.cursor
    } while (cursor !== undefined)
  }

  /** Removes what is left of messages that were never written to their end, and that were last written before this time. */
  async sweepUnfinished(before: Date): Promise<void> {
    await this.#blobs.sweep?.(Math.max(0, Date.now() - before.getTime()))
  }
}

function keyOf(id: string): string {
  if (!ID.test(id)) throw new TypeError(`${JSON.stringify(id)} is not the id of a message`)
  return PREFIX + id
}
