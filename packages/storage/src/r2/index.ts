/**
 * Blobs in Cloudflare R2, through a Worker's binding of a bucket.
 *
 * R2 answers a write when it is durable and can be read and listed everywhere, so `commit` is durable. A bucket takes
 * about one write a second under one key, which is no limit for unique keys. Temporary failures (R2 too busy, a lost
 * connection) are retried.
 *
 * A Worker needs a compatibility date of 2025-05-05 or later (FinalizationRegistry).
 */
import type { BlobStore } from '../blob/contract.ts'
import { ObjectStore } from '../bucket/store.ts'
import { R2Bucket } from './bucket.ts'
import type { Bucket } from './binding.ts'

export type { Bucket, BucketBody, BucketObject, BucketPage, MultipartUpload, ObjectOptions } from './binding.ts'
export type { PutOptions, UploadedPart } from './binding.ts'

export interface R2Options {
  /**
   * The greatest number of bytes that all unfinished blobs hold in memory together. If a blob needs more, it gets
   * `no-space`. A blob holds up to 5 MiB. While its buffer grows, it holds nearly as much again for a moment. While
   * less than an eighth of all is in use, it may hold a second 5 MiB. An attempt that took too long keeps its part
   * until R2 answers. An isolate on Cloudflare has 128 MB. Default 64 MiB.
   */
  readonly maxBufferedBytes?: number
  /** Bounds a commit with its retries, each part before it, and every other call. Default 60,000. */
  readonly deadlineMs?: number
  /** Bounds one attempt. Default 20,000. */
  readonly attemptMs?: number
}

const DEFAULTS = { maxBufferedBytes: 64 * 1024 * 1024, deadlineMs: 60_000, attemptMs: 20_000 } as const

/**
 * Opens a store of blobs in a bucket: `r2(env.MAIL)`. Every failure is a `StorageError` with R2's own error as its cause.
 *
 * @throws RangeError if an option is out of its range
 */
export function r2(bucket: Bucket, options: R2Options = {}): BlobStore {
  return new ObjectStore(new R2Bucket(bucket), { ...DEFAULTS, ...options })
}
