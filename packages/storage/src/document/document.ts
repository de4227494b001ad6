/** A message as one JSON document, for programs. `schema.json` of this package describes it. */
import type { TextBlock } from '@postern/mail/conversation'
import type { MailSummary } from '@postern/mail/summary'
import type { MailRecord, RecordVerdicts } from '../record/record.ts'

/** The `version` grows when a reader of an older one would misread it. A new field does not change it. */
export interface MailDocument {
  readonly version: 1
  /** What the store knows of the message, with what stands beside it here: `summary` and `verdicts`. */
  readonly record: MailRecord
  /** The record's, or made now if the record has none. */
  readonly summary: MailSummary
  /** The record's: who sent the message, as it was found out when it came. The sender can't write them. */
  readonly verdicts: RecordVerdicts
  /** The message id with which the conversation began. The sender chooses it. */
  readonly threadId?: string
  /** What people read. Missing if the message has no text. */
  readonly text?: DocumentText
  /** The HTML as it was sent, in Unicode. A stranger wrote it: it is not safe to show. */
  readonly html?: DocumentHtml
  /** Every part in the order of the message, also multiparts and the parts of messages inside the message. */
  readonly parts: readonly DocumentPart[]
}

export interface DocumentText {
  /** Lines end with LF, and those of `format=flowed` (RFC 3676) are joined. The plain texts of the message, or what its HTML shows if it has none. */
  readonly value: string
  readonly from: 'plain' | 'html'
  /** The text is longer, and `value` is its beginning. */
  readonly isCut: boolean
  /** Which lines are quoted, which are a signature. Each line is in one block. */
  readonly blocks: readonly TextBlock[]
}

export interface DocumentHtml {
  readonly value: string
  /** The HTML is longer, and `value` is its beginning. */
  readonly isCut: boolean
}

export interface DocumentPart {
  /** As IMAP counts: '1', '2.1'. */
  readonly section: string
  readonly type: string
  readonly charset?: string
  readonly disposition?: string
  readonly fileName?: string
  readonly contentId?: string
  /** In lower case: 'base64'. */
  readonly encoding: string
  /** Decoded octets. 0 for a multipart and for a message that is opened. */
  readonly size: number
  readonly isAttachment: boolean
  /** Where its body stands in the stored bytes, as it is encoded there. Missing for a multipart and for a message that is opened. */
  readonly encodedBody?: { readonly start: number; readonly length: number }
  /** Present if the decoded bytes are also in a blob of their own. They are always in the message, encoded. */
  readonly blob?: { readonly key: string; readonly sha256: string }
  /** Codes of what is malformed. */
  readonly defects: readonly string[]
}
