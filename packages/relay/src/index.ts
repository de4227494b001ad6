/** `@postern/relay`: sends mail on, from a queue by a schedule. Queues are at `/sqlite` and `/memory`, signatures at `/signing`. */
export type { Hop, Route, Router, RouteWish } from './delivery/hop.ts'
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
export type { CongestionOptions } from './delivery/congestion.ts'
export type { ConnectionsOptions } from './delivery/connections.ts'
export type { MxRouterOptions } from './mx-router.ts'
export { mxRouter } from './mx-router.ts'
export type {
  HandedOver,
  KeptHere,
  MailHere,
  NewCopy,
  NewMail,
  RelayEvents,
  RelayOptions,
  SentRecipient,
} from './options.ts'
export { LOCAL } from './options.ts'
export { Relay } from './relay.ts'
export type { DueReport } from './report/index.ts'
export type { Pieces } from './pieces.ts'
export { onTop } from './pieces.ts'
export { countTls } from './tls-counting.ts'
export { Spool } from './spool.ts'
export type { SubmissionDeps } from './incoming.ts'
export { submit } from './incoming.ts'
