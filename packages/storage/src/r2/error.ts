/** Turns R2's errors into `StorageError`s. The number at the end of the message says which error it is. */
import { StorageError, type StorageErrorCode } from '../blob/error.ts'
import { TransientError } from '../bucket/retry.ts'

/** https://developers.cloudflare.com/r2/api/error-codes */
const CODES: Readonly<Record<string, StorageErrorCode>> = {
  10002: 'denied',
  10003: 'denied',
  10007: 'not-found',
  10020: 'invalid-key',
  10024: 'not-found',
  10031: 'exists',
  10035: 'denied',
  10037: 'corrupt',
  10042: 'denied',
}
/**
 * An error inside R2; bytes that changed while they were sent; R2 not available; a client too slow or too fast. Without
 * a number, the connection broke.
 */
const MAY_PASS: ReadonlySet<string> = new Set(['10001', '10037', '10043', '10054', '10058', ''])

/** Turns R2's error into a {@link StorageError}, and returns a StorageError as it is. */
export function r2Error(error: unknown, what: string): StorageError {
  if (error instanceof StorageError) return error
  const said = error instanceof Error ? error.message : String(error)
  const number = /\((\d{5,6})\)$/.exec(said)?.[1] ?? ''
  const Kind = MAY_PASS.has(number) ? TransientError : StorageError
  return new Kind(CODES[number] ?? 'unavailable', `${what}: ${said}`, { cause: error })
}
