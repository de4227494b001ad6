/** A message as a row of a table. */
import type { MailRecord } from '@postern/storage'
import { formatSize } from '../../config/values/quantity.ts'
import { safe } from '../../host/terminal.ts'

export const HEAD: readonly string[] = ['ID', 'RECEIVED', 'SIZE', 'FROM', 'TO', 'SUBJECT']
/** Widths of the columns for messages that are printed one by one. A long address makes its column wider from then on. */
export const WIDTHS: readonly number[] = [26, 20, 8, 24, 24, 0]

/** Characters of a subject, or of another text that a stranger chose, that a row has. */
const MAX_CHARACTERS = 60

export function rowOf(record: MailRecord): string[] {
  const [first, ...more] = record.forwardPaths
  const to = `<${first?.address ?? ''}>${more.length === 0 ? '' : ` and ${more.length} more`}`
  const received = `${record.receivedAt.slice(0, 10)} ${record.receivedAt.slice(11, 19)}Z`
  const subject = record.summary?.subject ?? ''
  return [record.id, received, formatSize(record.size), `<${record.reversePath.address}>`, to, cut(subject)].map(safe)
}

/** Cuts a long text. */
export function cut(text: string): string {
  const characters = Array.from(text)
  return characters.length <= MAX_CHARACTERS ? text : `${characters.slice(0, MAX_CHARACTERS - 1).join('')}…`
}
