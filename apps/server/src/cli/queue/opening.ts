/** Opens the queue of `postern serve` for a command, whether the server runs or not. */
import { isQueueError, type Queue, type QueueErrorCode, Spool } from '@postern/relay'
import { isStorageError } from '@postern/storage'
import type { Settings } from '../../config/settings.ts'
import { EXIT, Failure } from '../../host/failure.ts'
import { safe } from '../../host/terminal.ts'
import { queuePath, spoolPath } from '../../serve/relay/paths.ts'

/** A queue with its messages. */
export interface OpenQueue {
  readonly queue: Queue
  /** Opens the messages. @throws StorageError */
  spool(): Spool
  /** The directory of both. */
  readonly directory: string
}

/** Failures for which the user has to change something before the command can work. */
const MISUSES: readonly QueueErrorCode[] = ['other-version', 'unsupported', 'invalid']

/** Runs the work of a command with the queue, and closes it. @throws Failure */
export async function withQueue({ options }: Settings, work: (open: OpenQueue) => Promise<void>): Promise<void> {
  const [{ openSqliteQueue }, { fs }] = await Promise.all([
    import('@postern/relay/sqlite'),
    import('@postern/storage/fs'),
  ])
  const directory = options.queue
  try {
    const queue = await openSqliteQueue(queuePath(directory), { isOwner: false, create: false })
    try {
      await work({ queue, spool: () => new Spool(fs(spoolPath(directory))), directory })
    } finally {
      await queue.close()
    }
  } catch (error) {
    if (isStorageError(error)) throw new Failure(safe(error.message), EXIT.failed, { cause: error })
    if (!isQueueError(error)) throw error
    throw new Failure(error.message, MISUSES.includes(error.code) ? EXIT.misused : EXIT.failed, { cause: error })
  }
}
