/**
 * Blobs in Cloudflare R2, through the binding that a Worker has of a bucket.
 *
 * R2 keeps what it has answered for, and reads and lists it everywhere from then on: so `commit` is durable. A bucket takes about
 * one write a second under one key, which unique keys never come near.
 *
 * A Worker needs a compatibility date of 2025-05-05 or later (FinalizationRegistry).
 */
import type { BlobInfo, BlobReader, BlobStore, BlobWriter, KeyPage, ListOptions, WriteOptions } from '../blob.ts'
import { checkKey, checkLimit, checkPrefix, MAX_PAGE } from '../blob.ts'
import { StorageError } from '../error.ts'
import type { Bucket, BucketBody } from './bucket.ts'
import { r2Error } from './error.ts'
import { Allowance, R2Writer } from './writer.ts'

export type { Bucket, BucketBody, BucketObject, BucketPage, MultipartUpload, ObjectOptions } from './bucket.ts'
export type { PutOptions, UploadedPart } from './bucket.ts'

export interface R2Options {
  /**
   * Bytes that blobs under way may hold in memory, all of them together; one that needs more is `no-space`. A blob holds up to
   * 5 MiB, and half of that again while it grows; an isolate of Cloudflare's has 128 MB. Default 64 MiB.
   */
  readonly maxBufferedBytes?: number
}

const DEFAULT_MAX_BUFFERED_BYTES = 64 * 1024 * 1024

/**
 * Blobs in a bucket: `r2(env.MAIL)`. Every failure is a `StorageError` with R2's own as its cause.
 *
 * @throws RangeError when `maxBufferedBytes` is not a whole number of bytes
 */
export function r2(bucket: Bucket, options: R2Options = {}): BlobStore {
  const { maxBufferedBytes = DEFAULT_MAX_BUFFERED_BYTES } = options
  if (!Number.isSafeInteger(maxBufferedBytes) || maxBufferedBytes < 0) {
    throw new RangeError(`maxBufferedBytes: ${maxBufferedBytes} is not a whole number of bytes`)
  }
  return new R2Store(bucket, new Allowance(maxBufferedBytes))
}

class R2Store implements BlobStore {
  readonly #bucket: Bucket
  readonly #allowance: Allowance

  constructor(bucket: Bucket, allowance: Allowance) {
    this.#bucket = bucket
    this.#allowance = allowance
  }

  write(key: string, options: WriteOptions = {}): BlobWriter {
    return new R2Writer(this.#bucket, this.#allowance, checkKey(key), options)
  }

  async read(key: string): Promise<BlobReader> {
    checkKey(key)
    const object = await this.#ask(() => this.#bucket.get(key), `can't read ${key}`)
    if (object === null) throw new StorageError('not-found', `no blob ${key}`)
    return new R2Reader(key, object)
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    checkKey(key)
    const object = await this.#ask(() => this.#bucket.head(key), `can't look at ${key}`)
    return object === null ? undefined : { size: object.size, modifiedAt: object.uploaded }
  }

  async list(options: ListOptions = {}): Promise<KeyPage> {
    const prefix = checkPrefix(options.prefix ?? '')
    const limit = checkLimit(options.limit ?? MAX_PAGE)
    const keys: string[] = []
    const prefixes: string[] = []
    const sizes: number[] = []
    let { cursor } = options
    do {
      const page = await this.#ask(
        () =>
          this.#bucket.list({
            prefix,
            limit: limit - keys.length - prefixes.length,
            ...(options.delimiter !== undefined && { delimiter: options.delimiter }),
            ...(cursor !== undefined && { cursor }),
          }),
        `can't list ${prefix}`,
      )
      keys.push(...page.objects.map((object) => object.key))
      sizes.push(...page.objects.map((object) => object.size))
      prefixes.push(...page.delimitedPrefixes)
      cursor = page.truncated ? page.cursor : undefined
      // R2 may give fewer than it was asked for.
    } while (cursor !== undefined && keys.length + prefixes.length < limit)
    return { keys, prefixes, ...(options.sizes === true && { sizes }), ...(cursor !== undefined && { cursor }) }
  }

  async delete(key: string): Promise<void> {
    checkKey(key)
    await this.#ask(() => this.#bucket.delete(key), `can't delete ${key}`)
  }

  async #ask<T>(call: () => Promise<T>, what: string): Promise<T> {
    try {
      return await call()
    } catch (error) {
      throw r2Error(error, what)
    }
  }
}

class R2Reader implements BlobReader {
  readonly size: number
  readonly body: AsyncIterable<Uint8Array>
  readonly #object: BucketBody
  #isTaken = false

  constructor(key: string, object: BucketBody) {
    this.size = object.size
    this.#object = object
    this.body = this.#pieces(key)
  }

  async close(): Promise<void> {
    if (this.#isTaken) return
    this.#isTaken = true
    await this.#object.body.cancel().catch(() => undefined)
  }

  async *#pieces(key: string): AsyncGenerator<Uint8Array> {
    if (this.#isTaken) return
    this.#isTaken = true
    const reader = this.#object.body.getReader()
    let left = this.size
    try {
      for (;;) {
        const { done, value } = await reader.read()
        if (done || value === undefined) break
        left -= value.length
        if (value.length > 0) yield value
      }
      if (left !== 0) throw new StorageError('unavailable', `can't read ${key}: R2 ended ${left} bytes early`)
    } catch (error) {
      throw r2Error(error, `can't read ${key}`)
    } finally {
      // Of what was read to its end there is nothing left to cancel.
      if (left > 0) await reader.cancel().catch(() => undefined)
    }
  }
}
