/** Blobs in any S3, with any transport. */
import type { ByteCount } from '../blob/allowance.ts'
import type { BlobStore } from '../blob/contract.ts'
import { ObjectStore } from '../bucket/store.ts'
import { S3Bucket } from './bucket.ts'
import { S3Client, type S3CredentialsSource } from './client.ts'
import { locationOf, type S3LocationOptions } from './location.ts'
import type { Transport } from './transport.ts'

export interface S3Options extends S3LocationOptions {
  readonly credentials: S3CredentialsSource
  /**
   * The greatest number of bytes that all unfinished blobs hold in memory together. If a blob needs more, it gets
   * `no-space`. A blob holds up to 5 MiB. While its buffer grows, it holds nearly as much again for a moment. While
   * less than an eighth of all is in use, it may hold a second 5 MiB. Default 512 MiB.
   */
  readonly maxBufferedBytes?: number
  /** Counts those bytes, if several stores share `maxBufferedBytes`. Default: counts only this store. */
  readonly bufferedBytes?: ByteCount
  /** Bounds a commit with its retries, each part before it, and every other call. Default 60,000. */
  readonly deadlineMs?: number
  /** Bounds one attempt. Default 30,000. */
  readonly attemptMs?: number
  /** How long a connection may be idle. The time in which it waits for the reader of a blob does not count. Default 20,000. */
  readonly idleTimeoutMs?: number
}

export const DEFAULTS: Required<Omit<S3Options, 'credentials' | 'bufferedBytes' | keyof S3LocationOptions>> = {
  maxBufferedBytes: 512 * 1024 * 1024,
  deadlineMs: 60_000,
  attemptMs: 30_000,
  idleTimeoutMs: 20_000,
}

export function s3With(transport: Transport, options: S3Options): BlobStore {
  const client = new S3Client(locationOf(options), options.credentials, transport)
  return new ObjectStore(new S3Bucket(client), { ...DEFAULTS, ...options })
}
