/** The attachments of messages that are kept apart: decoded, each a blob of its own beside the whole message. */
import type { AttachmentHead } from '@postern/mail/summary'
import type { BlobStore, BlobWriter } from '../blob/contract.ts'
import { isStorageError, StorageError } from '../blob/error.ts'
import { attachmentKey, keysOf } from '../record/layout.ts'
import type { AttachmentRecord, MailRecord } from '../record/record.ts'
import { verified } from '../record/verified.ts'

/** The greatest number of attachments of one message that are kept apart. Those that follow stay in the message only. */
export const MAX_APART = 100
/** The longest that a link can be valid: S3's bound. */
export const MAX_LINK_MS: number = 7 * 24 * 60 * 60 * 1000

/** Where a store of mail keeps attachments apart. */
export interface AttachmentStore {
  /** Begins an attachment of a message that is being saved. @throws StorageError */
  write(id: string, attachment: AttachmentHead): BlobWriter
  /** Removes attachments of a message that was not saved. @throws StorageError */
  remove(id: string, sections: readonly string[]): Promise<void>
  /**
   * Opens an attachment.
   * @throws StorageError `not-found` if the record has none of this section, or if the message was deleted meanwhile
   */
  load(record: MailRecord, section: string): Promise<StoredAttachment>
  /**
   * Makes a URL from which anybody can download the attachment until it expires. Missing if the store's server can't do that. S3 can.
   *
   * The bytes come with `Content-Disposition: attachment` and the file name, so that a browser shows none of them.
   * @throws StorageError `not-found` if the record has no attachment of this section
   * @throws RangeError if `expiresInMs` is not from 1,000 to 604,800,000: seven days
   */
  link?(record: MailRecord, section: string, options: { readonly expiresInMs: number }): Promise<string>
}

/** An attachment that is kept apart. */
export interface StoredAttachment {
  readonly record: AttachmentRecord
  /**
   * The decoded bytes, to be iterated once. After the last chunk it compares size and SHA-256 with those of the record.
   * @throws StorageError `corrupt`, at the latest in place of the end
   */
  readonly body: AsyncIterable<Uint8Array>
}

/** Keeps attachments in a blob store. */
export function attachmentStore(blobs: BlobStore): AttachmentStore {
  return {
    write: (id, attachment) =>
      blobs.write(attachmentKey(id, attachment.section), {
        contentType: attachment.type,
        fileName: nameOf(attachment),
        hasUniqueKey: true,
        besidesAnother: true,
      }),
    async remove(id, sections) {
      for (const section of sections) await blobs.delete(attachmentKey(id, section))
    },
    async load(mail, section) {
      const record = find(mail, section)
      const name = `attachment ${section} of message ${mail.id}`
      return { record, body: verified(await open(blobs, mail.id, record.key, name), record, name) }
    },
    ...(blobs.link !== undefined && {
      async link(mail: MailRecord, section: string, { expiresInMs }: { readonly expiresInMs: number }) {
        const attachment = find(mail, section)
        if (!(expiresInMs >= 1000 && expiresInMs <= MAX_LINK_MS))
          throw new RangeError(`expiresInMs: ${expiresInMs} is not from 1000 to ${MAX_LINK_MS}`)
        const link = blobs.link as NonNullable<BlobStore['link']>
        return link.call(blobs, attachment.key, {
          expiresInMs,
          contentType: attachment.type,
          fileName: nameOf(attachment),
        })
      },
    }),
  }
}

function nameOf({ fileName, section }: AttachmentHead): string {
  return fileName ?? `attachment-${section}`
}

function find({ id, attachments = [] }: MailRecord, section: string): AttachmentRecord {
  const found = attachments.find((attachment) => attachment.section === section)
  if (found === undefined) throw new StorageError('not-found', `message ${id} has no attachment ${section} apart`)
  return found
}

async function open(blobs: BlobStore, id: string, key: string, name: string): ReturnType<BlobStore['read']> {
  try {
    return await blobs.read(key)
  } catch (error) {
    if (!isStorageError(error, 'not-found')) throw error
    // A delete removes the envelope first. So if the envelope is still there, the attachment should be too.
    const keys = keysOf(id)
    const isThere = (await blobs.head(keys.envelope)) ?? (await blobs.head(keys.bounced))
    if (isThere === undefined) throw new StorageError('not-found', `no message ${id}`, { cause: error })
    throw new StorageError('corrupt', `${name}: its bytes are missing`, { cause: error })
  }
}
