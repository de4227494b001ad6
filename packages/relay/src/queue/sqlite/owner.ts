/**
 * The ownership of a queue, which one process has at a time: an exclusive lock of SQLite on a file beside the queue. The kernel ends the lock
 * when the process ends, however it ends. No runtime has another lock with this property that all of them share.
 *
 * The lock is not on the queue's own file, so that other processes can read and add while a server runs.
 */
import type { DatabaseSync } from 'node:sqlite'
import { QueueError } from '../error.ts'
import { failureOf } from './failure.ts'

/** Holds the ownership until it is disposed. */
export class Ownership implements Disposable {
  readonly #lock: DatabaseSync

  /**
   * @param lock The database of the lock. It is closed if this throws
   * @throws QueueError `owned`
   */
  constructor(lock: DatabaseSync, path: string) {
    this.#lock = lock
    try {
      lock.exec('PRAGMA locking_mode = EXCLUSIVE')
      // The transaction never ends: it is the lock. It writes nothing, so the file stays empty.
      lock.exec('BEGIN EXCLUSIVE')
    } catch (error) {
      lock.close()
      const failure = failureOf(error, path)
      if (failure.code !== 'busy') throw failure
      throw new QueueError('owned', `the queue ${path} is in use by another server`, { cause: error })
    }
  }

  [Symbol.dispose](): void {
    this.#lock.close()
  }
}
