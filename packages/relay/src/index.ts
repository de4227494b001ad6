/** `@postern/relay`: the queue of mail that is to be sent on, and its retry schedule. Queues are at `/sqlite` and `/memory`. */
export type {
  AttemptReply,
  DeliveryState,
  NewEntry,
  NewRecipient,
  QueueDeliverBy,
  QueueDelivery,
  QueueEntry,
  QueueEnvelope,
  QueueRecipient,
  RecipientState,
} from './queue/entry.ts'
export type { QueueErrorCode } from './queue/error.ts'
export { isQueueError, QueueError } from './queue/error.ts'
export type {
  Claim,
  Claimed,
  ClaimedRecipient,
  ClaimOptions,
  ListQueueOptions,
  Queue,
  QueuePage,
  QueueStats,
  QueueStatsOptions,
  RecipientResult,
  Settled,
  Settlement,
} from './queue/queue.ts'
export type { AttemptFacts, NextStep, RetrySchedule, ScheduleOptions } from './schedule.ts'
export { expiryOf, nextStep, resolveSchedule } from './schedule.ts'
