/** @postern/engine/client: an SMTP and LMTP client over any Duplex. It names no runtime and has no dependency. */
export type { BodyType, DsnNotify } from '../protocol/grammar/envelope.ts'
export type { ServerInfo } from '../protocol/client/capabilities.ts'
export type {
  OutgoingDeadline,
  OutgoingEnvelope,
  OutgoingRecipient,
  RecipientOutcome,
  SendResult,
} from '../protocol/client/outgoing.ts'
export type { ServerReply } from '../protocol/client/server-reply.ts'
export type { ClientCredentials, ClientExchange, ClientMechanism, ClientSaslPeer } from '../sasl/client/mechanism.ts'
export { MechanismError } from '../sasl/client/mechanism.ts'
export { CLIENT_MECHANISMS } from '../sasl/client/mechanisms.ts'
export type { Client } from './client.ts'
export type { ClientErrorFacts, ClientErrorReason, ClientStage } from './error.ts'
export { ClientError } from './error.ts'
export type { OutgoingMessage } from './message.ts'
export { openClient } from './open.ts'
export type { ClientLimits, ClientOptions, ClientTimeouts, ClientTraceLine, TlsServer } from './options.ts'
export type { Pool, PoolOptions } from './pool.ts'
export { createPool } from './pool.ts'
export type { ServerAddress } from './server-url.ts'
export { parseServerUrl } from './server-url.ts'
export type { SendOptions } from './transaction.ts'
