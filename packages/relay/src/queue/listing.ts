/** What is asked of a queue about its entries, and what it answers. */
import type { DeliveryState, QueueEntry } from './entry.ts'

export interface ListQueueOptions {
  /** 1 to 1,000. Default 100. */
  readonly limit?: number | undefined
  /** The cursor of an earlier page. It stays valid while entries come and go. */
  readonly cursor?: string | undefined
  /** Only entries with a delivery in this state. `finished`: only entries all of whose deliveries are. */
  readonly state?: DeliveryState | undefined
  /** Only entries with a delivery to this destination. */
  readonly destination?: string | undefined
  /** Only entries of this message. */
  readonly messageId?: string | undefined
}

export interface QueuePage {
  /** There may be fewer than asked for, or none, even if more pages follow. */
  readonly entries: readonly QueueEntry[]
  /** Present if there may be more. */
  readonly cursor?: string
}

export interface QueueStatsOptions {
  /** How many destinations the answer names. 0 to 1,000. Default 20. */
  readonly maxDestinations?: number | undefined
}

export interface QueueStats {
  readonly entries: number
  /** Deliveries by state. */
  readonly deliveries: Readonly<Record<DeliveryState, number>>
  /** Deliveries that this process has leased now. They are among those that are due. */
  readonly leased: number
  /** When the oldest entry was added that is not finished. */
  readonly oldestQueuedAt?: number
  /** The destinations with the most deliveries that are not finished, and how many. The most come first. */
  readonly destinations: readonly { readonly destination: string; readonly deliveries: number }[]
  /** Destinations that are not named above. */
  readonly otherDestinations: number
}
