/** One part of a message, without its body. */
import type { HeaderFields } from '../header/fields.ts'
import type { Content } from './content.ts'
import type { Defect } from '../defect.ts'

export interface PartHead extends Content {
  /**
   * The section as IMAP counts it (RFC 9051 6.4.5.1): '1', '2.1'. A multipart that is the whole of a message is 'TEXT', or '2.TEXT' inside of
   * the message that is part 2.
   */
  readonly section: string
  readonly fields: HeaderFields
  /** Its parts follow. It has no body of its own. */
  readonly isMultipart: boolean
  /** The message in it follows, as parts. It has no body of its own. */
  readonly isMessage: boolean
  /** More of them may come until the part has ended. */
  readonly defects: readonly Defect[]
}
