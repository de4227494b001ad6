/** One part of a message, without its body. */
import type { HeaderFields } from '../header/fields.ts'
import type { Content } from './content.ts'
import type { Defect } from '../defect.ts'

/** Octets of the message. */
export interface OctetRange {
  /** How many octets are in front of it. */
  readonly start: number
  /** It grows until the part has ended. */
  readonly length: number
}

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
  /** Where its body stands in the message, as it is encoded there. Missing if it has no body of its own. */
  readonly encodedBody?: OctetRange
  /** More of them may come until the part has ended. */
  readonly defects: readonly Defect[]
}
