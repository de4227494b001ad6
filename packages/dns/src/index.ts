/** `@postern/dns`: a resolver. Servers over UDP and TCP are at `/sockets`; names alone are at `/names`. */
export type {
  Absent,
  Answer,
  Failed,
  FailureReason,
  Found,
  MxRecord,
  Records,
  RecordType,
  ResolveOptions,
  Resolver,
  SoaRecord,
  TlsaRecord,
  TxtRecord,
} from './answer.ts'
export type { CacheOptions } from './cache.ts'
export { AnswerCache } from './cache.ts'
export type { HttpsOptions } from './https.ts'
export { httpsUpstream } from './https.ts'
export type { ConfirmedName } from './names/index.ts'
export { confirmedName, queryName, reverseName } from './names/index.ts'
export type { CountingResolver, ResolverCounts, ResolverOptions } from './resolver.ts'
export { createResolver } from './resolver.ts'
export type { AskOptions, Reply, Servers, Upstream } from './upstream.ts'
