/** @postern/storage: stores of mail. Backends are at `@postern/storage/fs`, `/maildir`, `/s3`, `/r2` and `/memory`. */
export type { ByteCount, Share } from './blob/allowance.ts'
export { Allowance } from './blob/allowance.ts'
export type {
  BlobInfo,
  BlobReader,
  BlobStore,
  BlobWriter,
  KeyBatch,
  KeyPage,
  LinkOptions,
  ListOptions,
  WalkOptions,
  WholeBlob,
  WriteOptions,
} from './blob/contract.ts'
export { checkAfter, checkKey, checkLimit, checkPrefix, isSegment, MAX_PAGE } from './blob/contract.ts'
export type { BufferedWriterOptions } from './blob/buffered-writer.ts'
export { BufferedWriter } from './blob/buffered-writer.ts'
export type { StorageErrorCode } from './blob/error.ts'
export { isStorageError, StorageError } from './blob/error.ts'
export type { IncomingMail, IncomingSession, MailFacts, RecipientPath } from './record/incoming.ts'
export type { CopyOptions } from './mail/copy.ts'
export { copyMail } from './mail/copy.ts'
export type { ContentOptions, KeepOptions } from './mail/keep.ts'
export { DEFAULT_ATTACHMENTS_ABOVE_BYTES, keep, MAX_ATTACHMENTS_ABOVE_BYTES, refuseUnknown } from './mail/keep.ts'
export type { AttachmentStore, StoredAttachment } from './mail/attachments.ts'
export { summarized } from './mail/summarized.ts'
export type {
  ListMailOptions,
  MailPage,
  MailStore,
  StoredMail,
  WalkableMailStore,
  WalkedMail,
  WalkMailOptions,
} from './mail/contract.ts'
export type {
  AttachmentRecord,
  Bounce,
  DeliverByRecord,
  ForwardPathRecord,
  MaildirPlaces,
  MailRecord,
  PathRecord,
  RecordVerdicts,
  SessionFacts,
} from './record/record.ts'
export { timeOf } from './record/layout.ts'
export { mailStore } from './mail/mail-store.ts'
export type { Expired, ExpireOptions, Retention } from './upkeep/retention.ts'
export { checkRetention } from './upkeep/retention.ts'
export type { Swept, SweepOptions } from './upkeep/sweep.ts'
