/** `@postern/relay/entries`: the entries of a queue, for programs that show them. Its types need nothing of a runtime. */
export { described, isoTime } from './described.ts'
export type {
  AttemptReply,
  DeliveryState,
  NewEntry,
  NewRecipient,
  QueueDelivery,
  QueueEntry,
  QueueEnvelope,
  QueueRecipient,
  RecipientState,
} from './entry.ts'
export type { ListQueueOptions, QueuePage, QueueStats, QueueStatsOptions } from './listing.ts'
