/**
 * What can go wrong in a store, as codes: who calls decides by `code`, never by a backend's own error, which is
 * `cause`.
 */

/** Why a store refused or failed. */
export type StorageErrorCode =
  /** There is no such blob or message. */
  | 'not-found'
  /** The key is taken: blobs are written once. */
  | 'exists'
  /** The store says that we may not: permissions, credentials, a read-only disk. */
  | 'denied'
  /** The directory holds mail in another layout, or in a newer version of it: the message names it. */
  | 'other-layout'
  /** The store's directory is not at its path: its file system was unmounted, or it was renamed. It may come back. */
  | 'lost'
  /** No room: a full disk, a quota, a bound on memory. It may be gone in a while. */
  | 'no-space'
  /** What is stored is not what was written, or what was written is not what was announced. */
  | 'corrupt'
  /** Not a key (see {@link checkKey}), or a key whose place leads out of the store. */
  | 'invalid-key'
  /** Not a message id, or not a cursor. */
  | 'invalid-id'
  /** Everything else: I/O errors, networks, servers. Trying again later may help. */
  | 'unavailable'

/** A store refused or failed. `cause` is the backend's own error, where there was one. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code: StorageErrorCode
  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Whether `error` is a {@link StorageError}, and with this code where one is given. */
export function isStorageError(error: unknown, code?: StorageErrorCode): error is StorageError {
  return error instanceof StorageError && (code === undefined || error.code === code)
}
