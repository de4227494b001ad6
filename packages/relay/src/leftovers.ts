/**
 * Removes what a crash has left: finished entries, and messages without an entry. It runs beside the deliveries, in small steps with
 * pauses, because the queue may be large.
 */
import type { Queue } from './queue/queue.ts'
import type { Spool } from './spool.ts'

export interface LeftoversDeps {
  readonly queue: Queue
  readonly spool: Spool
  /** Returns whether a message is about to get its entry. */
  isArriving(messageId: string): boolean
  /** Messages that were written later are left alone. */
  readonly before: Date
  /** The same for messages that are not written to their end. */
  readonly unfinishedBefore: Date
  /** Ends the work early. */
  readonly signal: AbortSignal
}

/** Entries that are looked at between two pauses. */
const PAGE = 100
/** Messages that are looked for in the queue between two pauses: two or three milliseconds of work, so most of the time is for mail. */
const LOOKS = 50
const PAUSE_MS = 10

export async function removeLeftovers(deps: LeftoversDeps): Promise<void> {
  await removeFinished(deps)
  await removeOrphans(deps)
  if (!deps.signal.aborted) await deps.spool.sweepUnfinished(deps.unfinishedBefore)
}

async function removeFinished({ queue, signal }: LeftoversDeps): Promise<void> {
  let cursor: string | undefined
  do {
    const page = await queue.list({ state: 'finished', limit: PAGE, ...(cursor !== undefined && { cursor }) })
    await queue.remove(page.entries.map(({ id }) => id))
    cursor = page.cursor
    if (cursor !== undefined) await pause()
  } while (cursor !== undefined && !signal.aborted)
}

async function removeOrphans({ queue, spool, isArriving, before, signal }: LeftoversDeps): Promise<void> {
  let looks = 0
  const isNeeded = async (id: string): Promise<boolean> => {
    if (++looks % LOOKS === 0) await pause()
    // Asked in this order: a message that is not arriving any more has its entry, if it gets one.
    return signal.aborted || isArriving(id) || (await queue.list({ messageId: id, limit: 1 })).entries.length > 0
  }
  await spool.sweep(isNeeded, before, signal)
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, PAUSE_MS)
  })
}
