/** Errors of queues. The caller decides by `code`; `cause` is the backend's own error. */
import { acrossCopies } from '@postern/engine'

/** The reason why a queue refused or failed. */
export type QueueErrorCode =
  /** There is no queue at the path or in NATS, and the caller asked not to make one. */
  | 'not-found'
  /** The file or the stream is not a queue, or a queue of a newer version. The message names the version. */
  | 'other-version'
  /** Another process owns the queue. */
  | 'owned'
  /** The call is only for the owner of the queue. */
  | 'not-owner'
  /** The runtime has no SQLite, or the NATS server is too old or has no JetStream. */
  | 'unsupported'
  /** What the caller gave is not valid, or a NATS server refuses the login. The message names the field. */
  | 'invalid'
  /** No room: a full disk, or a bound of the queue. There may be room later. */
  | 'full'
  /** Another process wrote to the queue for too long. A later try may succeed. */
  | 'busy'
  /** The stored bytes are not those that a queue writes. */
  | 'corrupt'
  /** The queue is closed. */
  | 'closed'
  /** Every other failure of the disk, and a NATS server that is away. A later try may succeed. */
  | 'unavailable'

/** A queue refused or failed. The message is one line. */
export class QueueError extends Error {
  static {
    acrossCopies(this, 'QueueError')
  }
  override readonly name = 'QueueError'
  readonly code: QueueErrorCode
  constructor(code: QueueErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Returns whether `error` is a {@link QueueError}, with this code if one is given. */
export function isQueueError(error: unknown, code?: QueueErrorCode): error is QueueError {
  return error instanceof QueueError && (code === undefined || error.code === code)
}
