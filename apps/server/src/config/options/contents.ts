/** What the server looks for inside of messages. */
import { oneOf } from '../values/schema.ts'
import type { Option } from './row.ts'

export interface ContentRows {
  /**
   * `on` puts a summary of each message into its record: the subject, the senders and recipients of the header, the date, the message ids, the
   * beginning of the text, and the attachments. Default `on`.
   */
  readonly summary: Option<'on' | 'off', 'on' | 'off'>
}

const group = 'Contents:'

export const contentRows: ContentRows = {
  summary: {
    schema: oneOf('on', 'off'),
    byDefault: 'on',
    help: 'put the subject, the beginning of the text and the attachments of each message into its record: on or off',
    group,
    value: 'choice',
  },
}
