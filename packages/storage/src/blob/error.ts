/** Errors of stores. The caller decides by `code`; `cause` is the backend's own error. */

import { acrossCopies } from '@postern/engine'

/** The reason why a store refused or failed. */
export type StorageErrorCode =
  /** There is no such blob or message. */
  | 'not-found'
  /** The key is taken: blobs are written once. */
  | 'exists'
  /** The store refuses access: permissions, credentials, a read-only disk. */
  | 'denied'
  /** The directory holds mail in another layout, or in a newer version of the layout. The message names it. */
  | 'other-layout'
  /** The store's directory is not at its path: its file system was unmounted, or it was renamed. It may come back. */
  | 'lost'
  /** No room: a full disk, a quota, or a bound on memory. There may be room later. */
  | 'no-space'
  /** The stored bytes are not those that were written, or the written bytes are not those that were announced. */
  | 'corrupt'
  /** Not a key (see {@link checkKey}), or a key whose path leads out of the store. */
  | 'invalid-key'
  /** Not a message id, or not a cursor. */
  | 'invalid-id'
  /** Every other failure: I/O errors, networks, servers. A later try may succeed. */
  | 'unavailable'

/** A store refused or failed. `cause` is the backend's own error, if there was one. */
export class StorageError extends Error {
  static {
    acrossCopies(this, 'StorageError')
  }
  override readonly name = 'StorageError'
  readonly code: StorageErrorCode
  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** Returns whether `error` is a {@link StorageError}, with this code if one is given. */
export function isStorageError(error: unknown, code?: StorageErrorCode): error is StorageError {
  return error instanceof StorageError && (code === undefined || error.code === code)
}
