/** A store of blobs. Each blob is an object of a bucket. */
import { Allowance, type ByteCount } from '../blob/allowance.ts'
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
import { StorageError } from '../blob/error.ts'
import type { ObjectBucket } from './contract.ts'
import { ObjectReader } from './object-reader.ts'
import { type Attempt, type Patience, persistently } from './retry.ts'
import { ObjectWriter, type ObjectWriterDeps } from './writer.ts'

export interface ObjectStoreOptions extends Patience {
  readonly maxBufferedBytes: number
  readonly bufferedBytes?: ByteCount
}

export class ObjectStore implements BlobStore {
  readonly link?: NonNullable<BlobStore['link']>
  readonly #deps: ObjectWriterDeps

  /** @throws RangeError if an option is out of its range */
  constructor(bucket: ObjectBucket, options: ObjectStoreOptions) {
    const { maxBufferedBytes, bufferedBytes, deadlineMs, attemptMs } = options
    this.#deps = {
      bucket,
      allowance: new Allowance(maxBufferedBytes, bufferedBytes),
      patience: { deadlineMs: time('deadlineMs', deadlineMs), attemptMs: time('attemptMs', attemptMs) },
    }
    const link = bucket.link?.bind(bucket)
    if (link !== undefined) this.link = async (key, linkOptions) => link(checkKey(key), linkOptions)
  }

  write(key: string, options: WriteOptions = {}): BlobWriter {
    return new ObjectWriter(this.#deps, checkKey(key), options)
  }

  async read(key: string): Promise<BlobReader> {
    checkKey(key)
    const found = await this.#ask((signal) => this.#deps.bucket.get(key, signal))
    if (found === undefined) throw new StorageError('not-found', `no blob ${key}`)
    return new ObjectReader(key, found)
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    checkKey(key)
    const found = await this.#ask((signal) => this.#deps.bucket.head(key, signal))
    return found && { size: found.size, modifiedAt: found.modifiedAt }
  }

  async list(options: ListOptions = {}): Promise<KeyPage> {
    checkPrefix(options.prefix ?? '')
    const after = checkAfter(options)
    const limit = checkLimit(options.limit ?? MAX_PAGE)
    const keys: string[] = []
    const prefixes: string[] = []
    const sizes: number[] = []
    let { cursor } = options
    do {
      const left = limit - keys.length - prefixes.length
      const request = { ...options, limit: left, ...(cursor !== undefined && { cursor }) }
      const page = await this.#ask((signal) => this.#deps.bucket.list(request, signal))
      if (cursor !== undefined && page.cursor === cursor)
        throw new StorageError('unavailable', 'the listing stopped in the middle')
      for (const [index, key] of page.keys.entries()) {
        // A server that does not know `start-after` begins at the first key.
        if (key <= after) continue
        keys.push(key)
        sizes.push(page.sizes?.[index] ?? 0)
      }
      prefixes.push(...page.prefixes)
      cursor = page.cursor
    } while (cursor !== undefined && keys.length + prefixes.length < limit)
    return {
      keys,
      prefixes,
      ...(options.sizes === true && { sizes }),
      ...(cursor !== undefined && { cursor }),
    }
  }

  async delete(key: string): Promise<void> {
    checkKey(key)
    await this.#ask((signal) => this.#deps.bucket.delete(key, signal))
  }

  /** Aborts unfinished uploads, if the bucket can list them. Other buckets abort them without help. */
  async sweep(olderThanMs: number): Promise<number> {
    const before = Date.now() - olderThanMs
    return this.#ask(async (signal) => (await this.#deps.bucket.sweepUploads?.(before, signal)) ?? 0)
  }

  #ask<T>(attempt: Attempt<T>): Promise<T> {
    return persistently(attempt, this.#deps.patience)
  }
}

/** The longest time of a timer. */
const MAX_MS = 2 ** 31 - 1

function time(name: string, ms: number): number {
  if (ms >= 1 && ms <= MAX_MS) return ms
  throw new RangeError(`${name}: ${ms} is not a time in milliseconds from 1 to ${MAX_MS}`)
}
