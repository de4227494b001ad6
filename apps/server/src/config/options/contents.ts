/** What the server looks for inside of messages. */
import type { ByteQuantity } from '../values/quantity.ts'
import { oneOf } from '../values/schema.ts'
import { amount, type Option } from './row.ts'

export interface ContentRows {
  /**
   * `on` puts a summary of each message into its record: the subject, the senders and recipients of the header, the date, the message ids, the
   * beginning of the text, and the attachments. Default `on`.
   */
  readonly summary: Option<'on' | 'off', 'on' | 'off'>
  /**
   * `apart`: each large attachment becomes a blob of its own too, decoded, while the message arrives. The message stays whole, and its record
   * lists the attachments. A `maildir:` store cannot do this. Default `inside`.
   */
  readonly attachments: Option<Attachments, Attachments>
  /** Attachments of more decoded bytes than this are kept apart. A message that arrives holds as many bytes in memory. Default `16KiB`. */
  readonly attachmentsAboveBytes: Option<ByteQuantity, number>
}

type Attachments = 'inside' | 'apart'

const group = 'Contents:'
/** The greatest value that the store takes. */
const MAX_ABOVE_BYTES = 1024 * 1024

export const contentRows: ContentRows = {
  summary: {
    schema: oneOf('on', 'off'),
    byDefault: 'on',
    help: 'put the subject, the beginning of the text and the attachments of each message into its record: on or off',
    group,
    value: 'choice',
  },
  attachments: {
    schema: oneOf('inside', 'apart'),
    byDefault: 'inside',
    help: 'apart: store large attachments also by themselves, decoded, while the message arrives',
    group,
    value: 'place',
    docs: { more: '(see [Attachments apart](#attachments-apart))' },
  },
  attachmentsAboveBytes: amount(
    'attachmentsAboveBytes',
    { min: 0, max: MAX_ABOVE_BYTES, byDefault: '16KiB' },
    { group, help: 'attachments of more decoded bytes than this are kept apart' },
  ),
}
