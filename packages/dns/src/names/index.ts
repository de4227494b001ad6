/** `@postern/dns/names`: names and their checks, for any {@link Resolver}. It loads neither a codec nor sockets. */
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
} from '../answer.ts'
export type { ConfirmedName } from './confirmed.ts'
export { confirmedName } from './confirmed.ts'
export { queryName } from './query-name.ts'
export { reverseName } from './reverse.ts'
