/** Opens the queue of `postern serve` for a command, whether the server runs or not. */
import { isQueueError, type Queue, type Spool } from '@postern/relay'
import { isStorageError } from '@postern/storage'
import type { Settings } from '../../config/settings.ts'
import { EXIT, Failure } from '../../host/failure.ts'
import { safe } from '../../host/terminal.ts'
import { openQueue, openSpool } from '../../serve/relay/queue.ts'

/** A queue with its messages. */
export interface OpenQueue {
  readonly queue: Queue
  /** Opens the messages. @throws StorageError, Failure */
  spool(): Promise<Spool>
  /** The directory or the URL of the queue. */
  readonly place: string
}

/** Runs the work of a command with the queue, and closes it. @throws Failure */
export async function withQueue(settings: Settings, work: (open: OpenQueue) => Promise<void>): Promise<void> {
  try {
    await using queue = await openQueue(settings, { role: 'manager' })
    await work({ queue, spool: () => openSpool(settings), place: settings.options.queue.url })
  } catch (error) {
    if (isStorageError(error)) throw new Failure(safe(error.message), EXIT.failed, { cause: error })
    if (!isQueueError(error)) throw error
    throw new Failure(error.message, EXIT.failed, { cause: error })
  }
}
