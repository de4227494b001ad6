/** What R2 throws, as a `StorageError`. Its errors are told apart by the number at the end of their message. */
import { StorageError, type StorageErrorCode } from '../error.ts'

/** https://developers.cloudflare.com/r2/api/error-codes */
const CODES: Readonly<Record<string, StorageErrorCode>> = {
  10002: 'denied',
  10003: 'denied',
  10007: 'not-found',
  10020: 'invalid-key',
  10031: 'exists',
  10035: 'denied',
  10037: 'corrupt',
  10042: 'denied',
}

/** R2's error as a {@link StorageError}; one that is one already passes. */
export function r2Error(error: unknown, what: string): StorageError {
  if (error instanceof StorageError) return error
  const message = error instanceof Error ? error.message : String(error)
  const number = /\((\d{5,6})\)$/.exec(message)?.[1] ?? ''
  return new StorageError(CODES[number] ?? 'unavailable', `${what}: ${message}`, { cause: error })
}
