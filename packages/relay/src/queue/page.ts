/** Which entries a page of the list has. */
import type { QueueDelivery, QueueEntry } from './entry.ts'
import type { ListQueueOptions } from './queue.ts'

/** Returns whether an entry is what `list` is asked for. */
export function isWanted(entry: QueueEntry, { state, destination, messageId }: ListQueueOptions): boolean {
  const { deliveries } = entry
  const isThere = (delivery: QueueDelivery): boolean =>
    destination === undefined || delivery.destination === destination
  if (messageId !== undefined && entry.messageId !== messageId) return false
  if (state === 'finished') return deliveries.every((each) => each.state === state) && deliveries.some(isThere)
  return deliveries.some((each) => (state === undefined || each.state === state) && isThere(each))
}
