/** What R2 throws, as a `StorageError`. Its errors are told apart by the number at the end of their message. */
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
/** An error inside R2; bytes that changed on their way; R2 not there; a client too slow or too quick. Without a number: the line is cut. */
const MAY_PASS: ReadonlySet<string> = new Set(['10001', '10037', '10043', '10054', '10058', ''])

/** R2's error as a {@link StorageError}; one that is one already passes. */
export function r2Error(error: unknown, what: string): StorageError {
  if (error instanceof StorageError) return error
  const said = error instanceof Error ? error.message : String(error)
  const number = /\((\d{5,6})\)$/.exec(said)?.[1] ?? ''
  const Kind = MAY_PASS.has(number) ? TransientError : StorageError
  return new Kind(CODES[number] ?? 'unavailable', `${what}: ${said}`, { cause: error })
}
