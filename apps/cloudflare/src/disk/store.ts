/** A disk as a BlobStore. Up to 1 MiB of each blob is in memory here, and travels in one call. */
import type { BlobInfo, BlobReader, BlobStore, BlobWriter, KeyPage, ListOptions, WriteOptions } from '@postern/storage'
import { checkKey, checkLimit, checkPrefix, MAX_PAGE, StorageError } from '@postern/storage'
import { CHUNK_BYTES, type DiskPage, type RemoteDisk } from './rpc.ts'

/** Blobs on the disk of this machine. @param reach Gives the Disk; asked for each call, as what it gives is one request's alone */
export function disk(reach: Reach): BlobStore {
  return new DiskStore(reach)
}

export type Reach = () => RemoteDisk

class DiskStore implements BlobStore {
  readonly #disk: Reach

  constructor(reach: Reach) {
    this.#disk = reach
  }

  write(key: string, options: WriteOptions = {}): BlobWriter {
    return new DiskWriter(this.#disk, checkKey(key), options.size)
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
    const cursor = checkPrefix(options.cursor ?? '')
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

class DiskWriter implements BlobWriter {
  readonly #disk: Reach
  readonly #key: string
  readonly #announced: number | undefined
  #buffer: Uint8Array = new Uint8Array(0)
  #buffered = 0
  #size = 0
  #upload: number | undefined
  #part = 0
  #done = false
  /** What is under way; never rejects. */
  #pending: Promise<unknown> = Promise.resolve()

  constructor(reach: Reach, key: string, announced: number | undefined) {
    this.#disk = reach
    this.#key = key
    this.#announced = announced
  }

  write(bytes: Uint8Array): void | Promise<void> {
    if (this.#done) throw this.#over()
    this.#size += bytes.length
    if (this.#buffered + bytes.length <= CHUNK_BYTES) return this.#hold(bytes)
    return this.#follow(this.#spill(bytes))
  }

  async commit(): Promise<void> {
    if (this.#done) throw this.#over()
    this.#done = true
    await this.#follow(this.#commit())
  }

  async abort(): Promise<void> {
    this.#done = true
    await this.#pending
    await this.#drop()
  }

  #hold(bytes: Uint8Array): void {
    const needed = this.#buffered + bytes.length
    if (this.#buffer.length < needed) {
      const larger = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(needed, 64 * 1024, this.#buffer.length * 2)))
      larger.set(this.#buffer.subarray(0, this.#buffered))
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#buffered)
    this.#buffered = needed
  }

  async #spill(bytes: Uint8Array): Promise<void> {
    const what = `can't write ${this.#key}`
    try {
      for (let at = 0; at < bytes.length;) {
        if (this.#buffered === CHUNK_BYTES) {
          const upload = (this.#upload ??= await ask(() => this.#disk().begin(), what))
          await ask(() => this.#disk().append(upload, this.#part, this.#buffer), what)
          this.#part++
          this.#buffered = 0
        }
        if (this.#done) throw this.#over()
        const end = Math.min(bytes.length, at + CHUNK_BYTES - this.#buffered)
        this.#hold(bytes.subarray(at, end))
        at = end
      }
    } catch (error) {
      this.#done = true
      await this.#drop()
      throw error
    }
  }

  async #commit(): Promise<void> {
    try {
      if (this.#announced !== undefined && this.#announced !== this.#size) {
        throw new StorageError('corrupt', `${this.#key}: ${this.#size} bytes came, not ${this.#announced}`)
      }
      const last = this.#buffer.slice(0, this.#buffered)
      const isNew = await ask(
        () => this.#disk().commit(this.#key, this.#upload, this.#part, last, this.#size),
        `can't write ${this.#key}`,
      )
      this.#upload = undefined
      if (!isNew) throw new StorageError('exists', `there is a blob ${this.#key}`)
    } finally {
      await this.#drop()
    }
  }

  async #drop(): Promise<void> {
    this.#buffer = new Uint8Array(0)
    this.#buffered = 0
    const upload = this.#upload
    this.#upload = undefined
    // What can't be told now is swept.
    if (upload !== undefined)
      await this.#disk()
        .abort(upload)
        .catch(() => undefined)
  }

  #follow(work: Promise<void>): Promise<void> {
    this.#pending = work.catch(() => undefined)
    return work
  }

  #over(): StorageError {
    return new StorageError('unavailable', `the writer of ${this.#key} is done`)
  }
}

async function ask<T>(call: () => Promise<T>, what: string): Promise<T> {
  try {
    return await call()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const code = message.includes('SQLITE_FULL') ? 'no-space' : 'unavailable'
    throw new StorageError(code, `${what}: ${message}`, { cause: error })
  }
}
