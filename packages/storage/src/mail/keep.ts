/** The hooks between engine and store. */
import {
  type ForwardPath,
  HookTimeoutError,
  isPromiseLike,
  Refusal,
  type Reply,
  reply,
  type Session,
} from '@postern/engine'
import { AttachmentsApart } from './apart.ts'
import type { AttachmentStore } from './attachments.ts'
import type { BlobStore } from '../blob/contract.ts'
import { isStorageError } from '../blob/error.ts'
import { type IncomingMail, mailboxPaths, type RecipientPath } from '../record/incoming.ts'
import type { MailStore } from './contract.ts'
import type { MailRecord } from '../record/record.ts'
import { mailStore } from './mail-store.ts'
import { summarized } from './summarized.ts'

/** What a store makes of the contents of messages. */
export interface ContentOptions {
  /** Adds the summary of each message to its record: subject, sender, the beginning of the text, attachments. Default: false. */
  readonly summary?: boolean
  /**
   * `apart`: each large attachment becomes a blob of its own too, decoded, while the message arrives. Its type, name, size and SHA-256 are
   * in the record, and `MailStore.attachments` opens it. The bytes of the message stay whole. Default `inside`.
   */
  readonly attachments?: 'inside' | 'apart'
  /**
   * Attachments of more decoded bytes than this are kept apart. A message that arrives holds as many bytes in memory. Default 16,384.
   */
  readonly attachmentsAboveBytes?: number
}

export interface KeepOptions extends ContentOptions {
  /**
   * Called with each message after it is durable, and before the client gets its reply. Errors are ignored, because the
   * message is kept.
   */
  kept?(record: MailRecord, session: Session): unknown
  /** Default 10 seconds. The engine waits `hookTimeoutMs` for the store and `kept` together. */
  readonly keptTimeoutMs?: number
  /** Called if `kept` threw, or with a `HookTimeoutError` if it was late. */
  keptFailed?(error: unknown, record: MailRecord, session: Session): void
}

const KEPT_TIMEOUT_MS = 10_000
export const DEFAULT_ATTACHMENTS_ABOVE_BYTES = 16_384
/** The greatest value of `attachmentsAboveBytes`, because so much memory is held for each message that arrives. */
export const MAX_ATTACHMENTS_ABOVE_BYTES = 1_048_576

const NO_SPACE = reply(452, '4.3.1', 'Out of storage space, try again later')
const NO_MAILBOX = reply(550, '5.1.1', 'No such mailbox here')
const FAILED = reply(451, '4.3.0', 'Could not store the message, try again later')

/**
 * Makes a `data` hook that keeps every message, and answers `250 2.0.0 OK queued as <id>` once it is durable.
 *
 * @throws Refusal (from the hook) `452 4.3.1` if the store has no room, `451 4.3.0` if it fails in any other way, with
 *   the failure as its cause. The hook also throws the error that reading the message throws. Then nothing is kept.
 * @throws TypeError at once if attachments are to be kept apart, and the store can't
 * @throws RangeError at once if `attachmentsAboveBytes` is not a whole number from 0 to 1,048,576
 */
export function keep(
  store: BlobStore | MailStore,
  options: KeepOptions = {},
): (message: IncomingMail, session: Session) => Promise<Reply> {
  const save = saverIn('save' in store ? store : mailStore(store), options)
  return async (message, session) => {
    let record: MailRecord
    try {
      record = await save(message, session)
    } catch (error) {
      if (!isStorageError(error)) throw error
      throw new Refusal(error.code === 'no-space' ? NO_SPACE : FAILED, { cause: error })
    }
    const told = tell(options, record, session)
    if (told !== undefined) await told
    return reply(250, '2.0.0', `OK queued as ${record.id}`)
  }
}

/**
 * Makes a function that saves messages with what these options ask for.
 * @throws TypeError, RangeError as {@link keep}
 */
export function saverIn(mail: MailStore, options: ContentOptions): MailStore['save'] {
  const place = options.attachments === 'apart' ? placeIn(mail) : undefined
  const aboveBytes = checkAboveBytes(options.attachmentsAboveBytes)
  return async (message, session) => {
    const read = options.summary === true ? summarized(message) : message
    if (place === undefined) return mail.save(read, session)
    const apart = new AttachmentsApart(read, { place, aboveBytes })
    try {
      return await mail.save(apart.message, session)
    } catch (error) {
      await apart.drop()
      throw error
    }
  }
}

function placeIn({ attachments }: MailStore): AttachmentStore {
  if (attachments !== undefined) return attachments
  throw new TypeError("attachments: this store can't keep them apart")
}

function checkAboveBytes(bytes: number = DEFAULT_ATTACHMENTS_ABOVE_BYTES): number {
  if (Number.isSafeInteger(bytes) && bytes >= 0 && bytes <= MAX_ATTACHMENTS_ABOVE_BYTES) return bytes
  throw new RangeError(`attachmentsAboveBytes: ${bytes} is not a whole number from 0 to ${MAX_ATTACHMENTS_ABOVE_BYTES}`)
}

/** Calls `kept`. Never throws or rejects: after a refusal the client would send the message again, although it is kept. */
function tell(options: KeepOptions, record: MailRecord, session: Session): Promise<void> | undefined {
  const failed = (error: unknown): void => {
    try {
      options.keptFailed?.(error, record, session)
    } catch {
      // `keptFailed` threw too, and there is no other function to report to.
    }
  }
  try {
    const told = options.kept?.(record, session)
    return isPromiseLike(told) ? inTime(told, options.keptTimeoutMs).catch(failed) : undefined
  } catch (error) {
    failed(error)
    return undefined
  }
}

function inTime(told: PromiseLike<unknown>, timeoutMs: number = KEPT_TIMEOUT_MS): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new HookTimeoutError()), timeoutMs)
    Promise.resolve(told)
      .then(() => resolve(), reject)
      .finally(() => clearTimeout(timer))
  })
}

/**
 * Makes an `rcpt` hook that refuses recipients without a mailbox in the store: `550 5.1.1`. Use it with {@link keep} if
 * the store knows its recipients, as a store of Maildirs does.
 *
 * @throws StorageError (from the hook) if the store cannot tell now. The engine then answers `451 4.3.0`
 */
export function refuseUnknown(
  store: BlobStore | MailStore,
): (forwardPath: RecipientPath & Pick<ForwardPath, 'accounts'>) => Reply | undefined | Promise<Reply | undefined> {
  if (!('save' in store)) return () => undefined
  return (forwardPath) => {
    const answers = mailboxPaths(forwardPath).map((path) => store.accepts?.(path) ?? true)
    if (answers.every((answer) => typeof answer === 'boolean')) return verdictOf(answers.every(Boolean))
    return Promise.all(answers).then((all) => verdictOf(all.every(Boolean)))
  }
}

function verdictOf(accepted: boolean): Reply | undefined {
  return accepted ? undefined : NO_MAILBOX
}
