/**
 * Blobs in Cloudflare R2, through a Worker's binding of a bucket.
 *
 * R2 answers a write once it is durable and can be read and listed everywhere, so `commit` is durable. A bucket takes about one write a
 * second under one key, which is no limit for unique keys. Failures that may pass (R2 too busy, a connection lost) are retried.
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
   * The most bytes that all blobs that are being written hold in memory together; a blob that needs more gets `no-space`. A blob
   * holds up to 5 MiB, for a moment nearly as much again while its buffer grows, and a second 5 MiB while less than an eighth of all
   * is in use. An attempt that took too long keeps its part until R2 answers. An isolate of Cloudflare's has 128 MB. Default 64 MiB.
   */
  readonly maxBufferedBytes?: number
  /** How long a commit may take with its retries; also each part before it, and every other call. Default 60,000. */
  readonly deadlineMs?: number
  /** How long one attempt may take. Default 20,000. */
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
