/** @postern/engine: the SMTP protocol engine. It names no runtime and has no dependency. */
export { acrossCopies } from './copies.ts'
export type { Duplex, Endpoint, Listener, PeerCertificate, TlsInfo } from './duplex.ts'
export { EarlyBytesError } from './duplex.ts'
export type { AddressRanges, IpOctets } from './protocol/grammar/address.ts'
export { addressRanges, ipText, parseIp } from './protocol/grammar/address.ts'
export { asciiDomain, sameDomain } from './protocol/grammar/domain.ts'
export type {
  AddressLiteral,
  BodyType,
  DeliverBy,
  DsnNotify,
  Envelope,
  ForwardedClient,
  ForwardPath,
  RecipientDelivery,
  RecipientHandling,
  OriginalRecipient,
  Parameters,
  Path,
  PathWithParameters,
  ReversePath,
} from './protocol/grammar/envelope.ts'
export { isPromiseLike } from './promise.ts'
export type { Hello } from './protocol/server/event.ts'
export type { Limits } from './protocol/limits.ts'
export { LIMIT_RULES, OptionError, resolveLimits } from './protocol/limits.ts'
export type { Reply } from './protocol/grammar/reply.ts'
export { isReply, reply } from './protocol/grammar/reply.ts'
export type { AccountsWith } from './sasl/accounts.ts'
export type {
  Accounts,
  Exchange,
  Mechanism,
  PasswordLogin,
  SaslPeer,
  ScramKeys,
  Step,
  TokenAnswer,
  TokenRefusal,
  User,
} from './sasl/mechanism.ts'
export type { Credentials, MechanismName } from './sasl/mechanisms.ts'
export { MECHANISMS } from './sasl/mechanisms.ts'
export { isSameSecret } from './sasl/text.ts'
export type { AdmissionLimits, Occupancy, Place, Places } from './server/places/admission.ts'
export { addressKey, Admission, hasPlace, maxTurnedAway } from './server/places/admission.ts'
export { ArrivalError } from './server/places/arrivals.ts'
export { FairSet } from './server/places/fair-set.ts'
export { HookTimeoutError } from './server/hooks.ts'
export type {
  AuthAnswer,
  AuthOptions,
  DataVerdict,
  EndedExchange,
  Handlers,
  RefusedCommand,
  Verdict,
} from './server/handlers.ts'
export { idMaker } from './server/session/id.ts'
export type { Message, MessageErrorReason } from './server/session/message.ts'
export { MessageError, Refusal } from './server/session/message.ts'
export type { ReverseDns, Session, TransmissionType } from './server/session/session.ts'
export { explainAnswer } from './server/verdict.ts'
export type { CommandHandler, Extension, ExtensionCommand, SessionChange } from './server/extension.ts'
export type { ExtensionContext, ParameterRule, VerbEffect, VerbRules } from './protocol/extensions/extension.ts'
export type { ProtocolExtension } from './protocol/extensions/extension.ts'
export { deliverBy, type DeliverByOptions } from './protocol/extensions/deliver-by.ts'
export { dsn } from './protocol/extensions/dsn.ts'
export { futureRelease, type FutureReleaseOptions } from './protocol/extensions/future-release.ts'
export { mtPriority, type MtPriorityOptions } from './protocol/extensions/mt-priority.ts'
export { requireTls } from './protocol/extensions/require-tls.ts'
export type { Protocol, ServerOptions, SessionOverrides, TlsPolicy, WireLine } from './server/options.ts'
export type { TrustOptions } from './server/trusted/attributes.ts'
export { xclient } from './server/trusted/xclient.ts'
export { xforward } from './server/trusted/xforward.ts'
export type { CloseOptions, Server } from './server/server.ts'
export { createServer } from './server/server.ts'
