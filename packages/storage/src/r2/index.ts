/**
 * Blobs in Cloudflare R2, through the binding that a Worker has of a bucket.
 *
 * R2 keeps what it has answered for, and reads and lists it everywhere from then on: so `commit` is durable. A bucket takes about
 * one write a second under one key, which unique keys never come near. What may pass (R2 too busy, a connection lost) is tried again.
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
   * Bytes that blobs under way may hold in memory, all of them together; one that needs more is `no-space`. A blob holds up to
   * 5 MiB, for a moment nearly as much again as it grows, and a second 5 MiB while less than an eighth of all is in use. A try that was
   * given up keeps its part until R2 answers. An isolate of Cloudflare's has 128 MB. Default 64 MiB.
   */
  readonly maxBufferedBytes?: number
  /** How long a commit may take, tries and all, and each part before it, and everything else. Default 60,000. */
  readonly deadlineMs?: number
  /** How long one try may take. Default 20,000. */
  readonly attemptMs?: number
}

const DEFAULTS = { maxBufferedBytes: 64 * 1024 * 1024, deadlineMs: 60_000, attemptMs: 20_000 } as const

/**
 * Blobs in a bucket: `r2(env.MAIL)`. Every failure is a `StorageError` with R2's own as its cause.
 *
 * @throws RangeError when an option is out of its range
 */
export function r2(bucket: Bucket, options: R2Options = {}): BlobStore {
  return new ObjectStore(new R2Bucket(bucket), { ...DEFAULTS, ...options })
}
