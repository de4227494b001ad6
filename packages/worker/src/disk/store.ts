/** A BlobStore on a Disk. It buffers up to 1 MiB of each blob, and sends the buffer in one call. */
import type { BlobInfo, BlobReader, BlobStore, BlobWriter, KeyPage, ListOptions, WriteOptions } from '@postern/storage'
import {
  Allowance,
  BufferedWriter,
  checkAfter,
  checkKey,
  checkLimit,
  checkPrefix,
  MAX_PAGE,
  StorageError,
} from '@postern/storage'
import { CHUNK_BYTES, type DiskPage, type RemoteDisk } from './rpc.ts'

export interface DiskOptions {
  /** The greatest number of bytes that all unfinished blobs together hold in memory. A blob that needs more fails with `no-space`. Default 128 MiB. */
  readonly maxBufferedBytes?: number
}

/** Returns a stub of the object. It is called for each operation, because a stub belongs to one request. */
export type Reach = () => RemoteDisk

const DEFAULT_MAX_BUFFERED_BYTES = 128 * 1024 * 1024

/**
 * Makes the store.
 * @throws RangeError if `maxBufferedBytes` is not a whole number of bytes
 */
export function disk(reach: Reach, options: DiskOptions = {}): BlobStore {
  return new DiskStore(reach, new Allowance(options.maxBufferedBytes ?? DEFAULT_MAX_BUFFERED_BYTES))
}

class DiskStore implements BlobStore {
  readonly #disk: Reach
  readonly #allowance: Allowance

  constructor(reach: Reach, allowance: Allowance) {
    this.#disk = reach
    this.#allowance = allowance
  }

  write(key: string, options: WriteOptions = {}): BlobWriter {
    return new DiskWriter(this.#disk, this.#allowance, checkKey(key), options.size)
  }

  async read(key: string): Promise<BlobReader> {
    checkKey(key)
    const blob = await ask(() => this.#disk().find(key), `can't read ${key}`)
    if (blob === undefined) throw new StorageError('not-found', `no blob ${key}`)
    const { upload, size } = blob
    return { size, body: this.#pieces(key, upload, size), close: () => Promise.resolve() }
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    checkKey(key)
    const blob = await ask(() => this.#disk().find(key), `can't look at ${key}`)
    return blob && { size: blob.size, modifiedAt: new Date(blob.modifiedAt) }
  }

  async list(options: ListOptions = {}): Promise<KeyPage> {
    const prefix = checkPrefix(options.prefix ?? '')
    const cursor = checkPrefix(options.cursor ?? checkAfter(options))
    const limit = checkLimit(options.limit ?? MAX_PAGE)
    const rollUp = options.delimiter !== undefined
    const page: DiskPage = await ask(() => this.#disk().list(prefix, cursor, rollUp, limit), `can't list ${prefix}`)
    const { keys, sizes, prefixes, more } = page
    const last = [keys.at(-1) ?? '', prefixes.at(-1) ?? ''].toSorted()[1]
    return {
      keys,
      prefixes,
      ...(options.sizes === true && { sizes }),
      ...(more && last !== undefined && { cursor: last }),
    }
  }

  async delete(key: string): Promise<void> {
    checkKey(key)
    await ask(() => this.#disk().remove(key), `can't delete ${key}`)
  }

  sweep(olderThanMs: number): Promise<number> {
    return ask(() => this.#disk().sweep(Date.now() - olderThanMs), `can't sweep`)
  }

  async *#pieces(key: string, upload: number, size: number): AsyncGenerator<Uint8Array> {
    for (let part = 0, left = size; left > 0; part++) {
      const bytes = await ask(() => this.#disk().chunk(upload, part), `can't read ${key}`)
      if (bytes === undefined) throw new StorageError('not-found', `${key} was deleted meanwhile`)
      left -= bytes.byteLength
      yield new Uint8Array(bytes)
    }
  }
}

class DiskWriter extends BufferedWriter {
  readonly #disk: Reach
  #upload: number | undefined
  #part = 0

  constructor(reach: Reach, allowance: Allowance, key: string, size: number | undefined) {
    super({ name: key, size, pieceBytes: CHUNK_BYTES, allowance })
    this.#disk = reach
  }

  protected override async handOn(): Promise<void> {
    this.#upload ??= await this.#disk().begin()
    await this.#disk().append(this.#upload, this.#part, this.held.view)
    this.#part++
    this.held.empty()
  }

  protected override async finish(): Promise<void> {
    // Sends a copy, because RPC sends the whole buffer behind a view.
    const isNew = await this.#disk().commit(this.name, this.#upload, this.#part, this.held.view.slice(), this.size)
    this.#upload = undefined
    if (!isNew) throw new StorageError('exists', `there is a blob ${this.name}`)
  }

  protected override async drop(): Promise<void> {
    await super.drop()
    const upload = this.#upload
    this.#upload = undefined
    // If the abort fails, a sweep removes the upload.
    if (upload !== undefined)
      await this.#disk()
        .abort(upload)
        .catch(() => undefined)
  }

  protected override failure(error: unknown): StorageError {
    return diskError(error, `can't write ${this.name}`)
  }
}

async function ask<T>(call: () => Promise<T>, what: string): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw diskError(error, what)
  }
}

function diskError(error: unknown, what: string): StorageError {
  if (error instanceof StorageError) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = message.includes('SQLITE_FULL') ? 'no-space' : 'unavailable'
  return new StorageError(code, `${what}: ${message}`, { cause: error })
}
