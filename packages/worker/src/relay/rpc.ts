/** The RPC interface between a Worker and the Durable Object that has its queue. */
import type { ListQueueOptions, NewEntry, QueueEntry, QueuePage, QueueStats } from '@postern/relay/entries'

export type QueueAction = 'retry' | 'hold' | 'release' | 'delete'

/** The entries that are changed: those with these ids, those with a delivery to a destination, or all. */
export type ChosenEntries =
  | { readonly ids: readonly string[] }
  | { readonly destination: string }
  | { readonly all: true }

/** The methods of the object over RPC. */
export interface RemoteQueue {
  /** Adds entries whose messages are durable. When the promise resolves, the entries are durable too, and the object will send them. */
  add(entries: readonly NewEntry[]): Promise<void>
  list(options: ListQueueOptions): Promise<QueuePage>
  show(id: string): Promise<QueueEntry | undefined>
  stats(): Promise<QueueStats>
  /**
   * Tries entries now, holds them, releases them, or removes them with their messages; then nobody gets a report.
   * @returns how many entries there were that can be changed so: a held one is not retried
   */
  change(action: QueueAction, chosen: ChosenEntries): Promise<number>
}

/** Returns a stub of the object. It is called for each operation, because a stub belongs to one request. */
export type ReachQueue = () => RemoteQueue
