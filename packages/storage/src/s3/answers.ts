/** Reads S3's answers. */
import { isStorageError, StorageError } from '../blob/error.ts'
import { TransientError } from '../bucket/retry.ts'
import { S3Error } from './error.ts'

/** Returns the answer; undefined if there is no such object. */
export async function found<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isStorageError(error, 'not-found')) return undefined
    throw error
  }
}

/** Returns whether the object was written; false if there was one under this key. */
export async function isNew(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked
    return true
  } catch (error) {
    if (isStorageError(error, 'exists')) return false
    throw error
  }
}

/** Returns whether the server says that it does not implement the request. */
export function isNotImplemented(error: unknown): boolean {
  return error instanceof StorageError && error.cause instanceof S3Error && error.cause.status === 501
}

/**
 * Returns the ETag, which S3 gives for every write. A successful answer without one comes from somebody else, for
 * example from a proxy's login page.
 */
export function checkedEtag(etag: string | undefined, what: string): string {
  if (etag !== undefined && etag !== '') return etag
  throw new TransientError('unavailable', `${what}: the answer has no ETag, so it is not from an S3 server`)
}
