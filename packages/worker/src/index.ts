/**
 * @postern/worker: Postern in your own Cloudflare Worker. `export default createWorker({ … })` has every handler.
 *
 * The classes that a Worker exports by name are at `@postern/worker/entrypoints`, a store on a Durable Object at `/disk`, and the
 * settings at `/settings`.
 */
export type { Answer, RoutedEmail } from './email.ts'
export { takeEmail } from './email.ts'
export type { FetchContext } from './http.ts'
export { fetchHandler } from './http.ts'
export type {
  FromEnv,
  OpenReceiver,
  Policy,
  Receiver,
  ReceiverOptions,
  StoreOptions,
  VerificationDeps,
} from './receiver.ts'
export { createReceiver } from './receiver.ts'
export type { Peer } from './peer.ts'
export type { Settings, SettingsInput } from './settings.ts'
export { keepUp } from './upkeep.ts'
export type {
  ConnectedSocket,
  ConnectHandler,
  EmailHandler,
  FetchHandler,
  RefusableEmail,
  ScheduledEvent,
  ScheduledHandler,
  Worker,
} from './worker.ts'
export { connectHandler, createWorker, emailHandler, scheduledHandler } from './worker.ts'
