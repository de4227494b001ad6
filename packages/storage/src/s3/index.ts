/**
 * Blobs in any S3: AWS, R2's S3 API, MinIO, Tigris, Ceph, Swift.
 *
 * S3 answers a write when it can be read and listed, so `commit` is as durable as the server. Temporary failures
 * (`500`, `503`, `429`, a connection that breaks) are retried until a deadline.
 */
import type { BlobStore } from '../blob/contract.ts'
import { nodeHttp } from './node-http.ts'
import { DEFAULTS, type S3Options, s3With } from './store.ts'

export type { S3Credentials, S3CredentialsSource } from './client.ts'
export { S3Error } from './error.ts'
export { parseS3Url } from './location.ts'
export type { Addressing, Encryption, S3LocationOptions } from './location.ts'
export type { S3Options } from './store.ts'

/**
 * Opens a store of blobs in a bucket. Every failure is a `StorageError`, with the server's error ({@link S3Error}) or
 * the connection's error as its cause.
 *
 * @throws RangeError if an option is out of its range
 */
export function s3(options: S3Options): BlobStore {
  const { idleTimeoutMs = DEFAULTS.idleTimeoutMs } = options
  return s3With(nodeHttp({ idleTimeoutMs }), options)
}
