/** Turns errors of S3 servers and of connections to them into `StorageError`s. */
import { StorageError, type StorageErrorCode } from '../blob/error.ts'
import { TransientError } from '../bucket/retry.ts'

/** The server's own error: the cause of a {@link StorageError}. */
export class S3Error extends Error {
  override readonly name = 'S3Error'
  /** The status of the HTTP answer. */
  readonly status: number
  /** `NoSuchKey`, `SlowDown`, …; '' if the answer has none. */
  readonly code: string
  /** The server's operators can find the request with it. */
  readonly requestId: string | undefined
  constructor(status: number, code: string, message: string, requestId: string | undefined) {
    super(message)
    this.status = status
    this.code = code
    this.requestId = requestId
  }
}

interface Meaning {
  readonly code: StorageErrorCode
  readonly mayPass: boolean
}

const passing = (code: StorageErrorCode): Meaning => ({ code, mayPass: true })
const lasting = (code: StorageErrorCode): Meaning => ({ code, mayPass: false })

/** The meaning of the server's codes. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
const BY_CODE: Readonly<Record<string, Meaning>> = {
  NoSuchKey: lasting('not-found'),
  NoSuchUpload: lasting('not-found'),
  NoSuchBucket: lasting('unavailable'),
  PreconditionFailed: lasting('exists'),
  // With status 400.
  AuthorizationHeaderMalformed: lasting('denied'),
  ExpiredToken: lasting('denied'),
  InvalidToken: lasting('denied'),
  ExpiredRequest: lasting('denied'),
  RequestExpired: lasting('denied'),
  // Two writers used one key at the same moment. The next attempt finds out which was first.
  ConditionalRequestConflict: passing('unavailable'),
  OperationAborted: passing('unavailable'),
  RequestTimeout: passing('unavailable'),
  // Also comes in an answer that began with 200, because completing an upload may take long.
  InternalError: passing('unavailable'),
  ServiceUnavailable: passing('unavailable'),
  SlowDown: passing('unavailable'),
  // The bytes changed while they were sent.
  BadDigest: passing('corrupt'),
  XAmzContentSHA256Mismatch: passing('corrupt'),
  XAmzContentChecksumMismatch: passing('corrupt'),
  IncompleteBody: passing('unavailable'),
  QuotaExceeded: lasting('no-space'),
  XMinioStorageFull: lasting('no-space'),
  XMinioAdminBucketQuotaExceeded: lasting('no-space'),
  KeyTooLongError: lasting('invalid-key'),
}

/** Returns the meaning of a status, for answers whose code is not known. */
function byStatus(status: number): Meaning {
  if (status === 401 || status === 403) return lasting('denied')
  if (status === 404) return lasting('not-found')
  if (status === 412) return lasting('exists')
  if (status === 507) return lasting('no-space')
  if (status === 501) return lasting('unavailable')
  return status === 408 || status === 429 || status >= 500 ? passing('unavailable') : lasting('unavailable')
}

/**
 * Turns the server's refusal into a {@link StorageError}.
 * @param retryAfterMs The time that the server asked to wait
 */
export function s3Error(refusal: S3Error, what: string, retryAfterMs?: number): StorageError {
  const { code, mayPass } = BY_CODE[refusal.code] ?? byStatus(refusal.status)
  const said = [String(refusal.status), refusal.code, refusal.message].filter((word) => word !== '').join(' ')
  const message = `${what}: S3 answered ${said}`
  return mayPass
    ? new TransientError(code, message, { cause: refusal, retryAfterMs })
    : new StorageError(code, message, { cause: refusal })
}

/** Errors of certificates are not retried, because a retry gets the same certificate. */
const CERTIFICATE = /^(?:CERT_|ERR_TLS_|ERR_SSL_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_(?:GET|VERIFY)|HOSTNAME_MISMATCH)/

/** Turns the error of a connection into a {@link StorageError}. Returns a StorageError unchanged. */
export function connectionError(error: unknown, what: string): StorageError {
  if (error instanceof StorageError) return error
  // If an answer is not HTTP, Node's error has the bytes that it read. They may be mail, which must not get into a log.
  if (error instanceof Error) Reflect.deleteProperty(error, 'rawPacket')
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const said = error instanceof Error && error.message !== '' ? error.message : code || String(error)
  // Deno's name for a missing permission.
  if (error instanceof Error && error.name === 'NotCapable')
    return new StorageError('denied', `${what}: ${said}`, { cause: error })
  const Kind = CERTIFICATE.test(code) ? StorageError : TransientError
  return new Kind('unavailable', `${what}: ${said}`, { cause: error })
}
