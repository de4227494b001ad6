/** What an answer says of the thing that was asked for. */
import { isStorageError, StorageError } from '../blob/error.ts'
import { TransientError } from '../bucket/retry.ts'
import { S3Error } from './error.ts'

/** The answer; undefined where the object is not there. */
export async function found<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (isStorageError(error, 'not-found')) return undefined
    throw error
  }
}

/** Whether it was written: the condition that there is none under this key held. */
export async function isNew(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked
    return true
  } catch (error) {
    if (isStorageError(error, 'exists')) return false
    throw error
  }
}

/** Whether the server does not do what it was asked to. */
export function isNotImplemented(error: unknown): boolean {
  return error instanceof StorageError && error.cause instanceof S3Error && error.cause.status === 501
}

/** What was written has an ETag. A success without one is not S3's: of a proxy, say, that wants somebody to log in. */
export function checkedEtag(etag: string | undefined, what: string): string {
  if (etag !== undefined && etag !== '') return etag
  throw new TransientError('unavailable', `${what}: an answer without ETag, which is no S3 server's`)
}
