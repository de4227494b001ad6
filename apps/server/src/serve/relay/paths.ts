/** Where the queue of a server is, and its messages beside it. */
import { join } from 'node:path'

/** @param directory The option `queue` */
export function queuePath(directory: string): string {
  return join(directory, 'queue.sqlite')
}

/** @param directory The option `queue` */
export function spoolPath(directory: string): string {
  return join(directory, 'spool')
}
