/**
 * {@link s3} on workerd. It sends requests by `fetch`. Everything else is as in `index.ts`, except that workerd has its
 * own idle timeout.
 */
import type { BlobStore } from '../blob/contract.ts'
import { byFetch } from './fetch.ts'
import { type S3Options, s3With } from './store.ts'

export type { S3Credentials, S3CredentialsSource } from './client.ts'
export { S3Error } from './error.ts'
export { parseS3Url } from './location.ts'
export type { Addressing, Encryption, S3LocationOptions } from './location.ts'
export type { S3Options } from './store.ts'

/** Opens a store of blobs in a bucket; see `index.ts`. */
export function s3(options: S3Options): BlobStore {
  return s3With(byFetch, options)
}
