/** A queue or a spool without room. */
import { Refusal, reply } from '@postern/engine'
import { isStorageError } from '@postern/storage'
import { isQueueError } from '../queue/error.ts'

const NO_SPACE = reply(452, '4.3.1', 'Out of storage space, try again later')

/** Returns the refusal of a message that had no room, with the failure as its cause. Returns any other failure as it is. */
export function refusalOf(failure: unknown): unknown {
  const hasNoRoom = isStorageError(failure, 'no-space') || isQueueError(failure, 'full')
  return hasNoRoom ? new Refusal(NO_SPACE, { cause: failure }) : failure
}
