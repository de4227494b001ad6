/** A message as a row of a table. */
import type { MailRecord } from '@postern/storage'
import { formatSize } from '../../config/values/quantity.ts'
import { safe } from '../../host/terminal.ts'

export const HEAD: readonly string[] = ['ID', 'RECEIVED', 'SIZE', 'FROM', 'TO', 'SUBJECT']
/** Widths of the columns for messages that are printed one by one. A long address makes its column wider from then on. */
export const WIDTHS: readonly number[] = [26, 20, 8, 24, 24, 0]

/** Characters of a subject that a row has. */
const MAX_SUBJECT = 60

export function rowOf(record: MailRecord): string[] {
  const [first, ...more] = record.forwardPaths
  const to = `<${first?.address ?? ''}>${more.length === 0 ? '' : ` and ${more.length} more`}`
  const received = `${record.receivedAt.slice(0, 10)} ${record.receivedAt.slice(11, 19)}Z`
  const subject = record.summary?.subject ?? ''
  return [record.id, received, formatSize(record.size), `<${record.reversePath.address}>`, to, cut(subject)].map(safe)
}

function cut(subject: string): string {
  const characters = Array.from(subject)
  return characters.length <= MAX_SUBJECT ? subject : `${characters.slice(0, MAX_SUBJECT - 1).join('')}…`
}
