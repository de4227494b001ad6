/** Stores in the buckets of an S3 server. */
import type { BlobStore } from '@postern/storage'
import { s3, type S3Options } from '@postern/storage/s3'
import type { S3Server } from './server.ts'

/** A store in a bucket. */
export function storeIn(server: S3Server, bucket: string, options: Partial<S3Options> = {}): BlobStore {
  const { endpoint, region, credentials } = server
  return s3({ bucket, endpoint, region, credentials, ...options })
}
