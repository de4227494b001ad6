/** A queue in memory, which is lost when the process ends: for tests, trials and programs that need no more. */
import { checkRange } from '../checks.ts'
import type { Queue } from '../queue.ts'
import { MemoryQueue } from './memory-queue.ts'

export interface MemoryQueueOptions {
  /** Over it, `add` gets `full`. Default 100,000. */
  readonly maxEntries?: number | undefined
}

/** Makes a queue. @throws QueueError `invalid` */
export function memoryQueue({ maxEntries = 100_000 }: MemoryQueueOptions = {}): Queue {
  checkRange(maxEntries, 'maxEntries', 1, Number.MAX_SAFE_INTEGER)
  return new MemoryQueue(maxEntries)
}
