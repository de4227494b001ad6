/** Blobs in memory, which are lost when the process ends: for tests and trials. */
import { BaseWriter } from '../blob/base-writer.ts'
import type {
  BlobInfo,
  BlobReader,
  BlobStore,
  BlobWriter,
  KeyPage,
  ListOptions,
  WriteOptions,
} from '../blob/contract.ts'
import { checkAfter, checkKey, checkLimit, checkPrefix, MAX_PAGE } from '../blob/contract.ts'
import { isStorageError, StorageError } from '../blob/error.ts'
import { Pieces } from './pieces.ts'

export interface MemoryOptions {
  /**
   * The greatest number of bytes of all blobs together, including those that are being written. Over it, a writer gets
   * `no-space`. A blob that is being written may hold 64 KiB more than its bytes. Default 256 MiB.
   */
  readonly maxBytes?: number
}

const DEFAULT_MAX_BYTES = 256 * 1024 * 1024

interface HeldBlob {
  readonly pieces: Pieces
  /** Milliseconds since 1970. */
  readonly modifiedMs: number
}

/**
 * Makes a store in memory.
 *
 * @throws RangeError if `maxBytes` is not a whole number of bytes
 */
export function memory(options: MemoryOptions = {}): BlobStore {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 0) {
    throw new RangeError(`maxBytes: ${maxBytes} is not a whole number of bytes`)
  }
  return new MemoryStore(maxBytes)
}

class MemoryStore implements BlobStore {
  readonly #maxBytes: number
  readonly #blobs = new Map<string, HeldBlob>()
  /** The keys in order; undefined if they must be sorted again. */
  #sorted: string[] | undefined
  #usedBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  write(key: string, options: WriteOptions = {}): BlobWriter {
    return new MemoryWriter(this, checkKey(key), options.size)
  }

  async read(key: string): Promise<BlobReader> {
    const blob = this.#blobs.get(checkKey(key))
    if (blob === undefined) throw new StorageError('not-found', `no blob ${key}`)
    return { size: blob.pieces.byteLength, body: blob.pieces.copies(), close: () => Promise.resolve() }
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    const blob = this.#blobs.get(checkKey(key))
    return blob && { size: blob.pieces.byteLength, modifiedAt: new Date(blob.modifiedMs) }
  }

  async list(options: ListOptions = {}): Promise<KeyPage> {
    const prefix = checkPrefix(options.prefix ?? '')
    const cursor = checkPrefix(options.cursor ?? checkAfter(options))
    const limit = checkLimit(options.limit ?? MAX_PAGE)
    const sorted = (this.#sorted ??= [...this.#blobs.keys()].toSorted(byOrder))
    const keys: string[] = []
    const prefixes: string[] = []
    const page = (): KeyPage => ({
      keys,
      prefixes,
      ...(options.sizes === true && { sizes: keys.map((key) => this.#blobs.get(key)?.pieces.byteLength ?? 0) }),
    })
    let last = ''
    for (let i = firstFrom(sorted, cursor > prefix ? cursor : prefix); i < sorted.length; i++) {
      const key = sorted[i] as string
      if (!key.startsWith(prefix)) break
      const slash = options.delimiter === undefined ? -1 : key.indexOf('/', prefix.length)
      const item = slash === -1 ? key : key.slice(0, slash + 1)
      if (item <= cursor || item === last) continue
      if (keys.length + prefixes.length === limit) return { ...page(), cursor: last }
      if (slash === -1) keys.push(item)
      else prefixes.push(item)
      last = item
    }
    return page()
  }

  async delete(key: string): Promise<void> {
    const blob = this.#blobs.get(checkKey(key))
    if (blob === undefined) return
    this.#blobs.delete(key)
    this.#sorted = undefined
    this.release(blob.pieces.byteLength)
  }

  /** @throws StorageError `no-space` */
  reserve(byteLength: number): void {
    if (this.#usedBytes + byteLength > this.#maxBytes) {
      throw new StorageError('no-space', `the memory store is full: ${this.#maxBytes} bytes`)
    }
    this.#usedBytes += byteLength
  }

  release(byteLength: number): void {
    this.#usedBytes -= byteLength
  }

  /** @throws StorageError `exists` */
  add(key: string, pieces: Pieces): void {
    if (this.#blobs.has(key)) throw new StorageError('exists', `there is a blob ${key}`)
    this.#blobs.set(key, { pieces, modifiedMs: Date.now() })
    this.#sorted = undefined
  }
}

class MemoryWriter extends BaseWriter {
  readonly #store: MemoryStore
  #pieces: Pieces
  /** The bytes that are reserved in the store, until the blob is part of it. */
  #reserved = 0

  constructor(store: MemoryStore, key: string, announced: number | undefined) {
    super(key, announced)
    this.#store = store
    this.#pieces = new Pieces(announced)
  }

  protected override take(bytes: Uint8Array): void {
    this.#store.reserve(bytes.length)
    this.#reserved += bytes.length
    this.#pieces.add(bytes)
  }

  protected override async finish(): Promise<void> {
    this.#pieces.trim()
    this.#store.add(this.name, this.#pieces)
    this.#reserved = 0
  }

  protected override drop(): void {
    this.#pieces = new Pieces(0)
    this.#store.release(this.#reserved)
    this.#reserved = 0
  }

  protected override failure(error: unknown): StorageError {
    if (isStorageError(error)) return error
    return new StorageError('no-space', `no memory for ${this.name}`, { cause: error })
  }
}

/** Keys are ASCII, so the order of code units is the order of bytes. */
function byOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Returns the index of the first key that is not below `bound`. */
function firstFrom(sorted: readonly string[], bound: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as string) < bound) low = middle + 1
    else high = middle
  }
  return low
}
