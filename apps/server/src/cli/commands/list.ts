/** `postern list`: prints the stored messages, newest first. */
import process from 'node:process'
import type { MailRecord } from '@postern/storage'
import { Failure } from '../../host/failure.ts'
import { invocation } from '../../host/invocation.ts'
import { listMail } from './mail.ts'
import { print, printJson } from '../../host/output.ts'
import { formatSize } from '../../config/values/quantity.ts'
import type { Settings } from '../../config/settings.ts'
import { openExistingStore } from '../../serve/store/store.ts'
import { storeName } from '../../config/urls/store-url.ts'
import { isTerminal, safe, table } from '../../host/terminal.ts'

/** The flags of `postern list`. */
export interface ListFlags {
  readonly limit: string
  readonly cursor?: string
  readonly bounced?: boolean
  readonly json?: boolean
}

/** Prints a table, or with `json` one object: `{ records, corrupt, cursor }`. */
export async function list(settings: Settings, flags: ListFlags): Promise<void> {
  const limit = /^[1-9]\d{0,6}$/.test(flags.limit) ? Number(flags.limit) : undefined
  if (limit === undefined)
    throw new Failure(`--limit: ${JSON.stringify(flags.limit)} is not a whole number from 1 to 9999999`)
  const listing = await listMail(await openExistingStore(settings, { writable: false }), limit, flags)
  if (flags.json === true) return printJson(listing)

  const { records, corrupt, cursor } = listing
  if (records.length > 0) {
    const rows = [['ID', 'RECEIVED', 'SIZE', 'FROM', 'TO'], ...records.map(row)]
    await print(table(rows, isTerminal() ? process.stdout.columns : undefined))
  } else if (corrupt.length === 0) {
    process.stderr.write(`No mail in ${storeName(settings.options.store)}.\n`)
  }
  // Remarks about the list go to stderr, because they are not part of it.
  if (corrupt.length > 0)
    process.stderr.write(`postern: messages whose record can't be read: ${corrupt.map(safe).join(', ')}\n`)
  if (cursor !== undefined) process.stderr.write(`More: ${invocation()} list --cursor ${safe(cursor)}\n`)
}

function row(record: MailRecord): string[] {
  const [first, ...more] = record.forwardPaths
  const to = `<${first?.address ?? ''}>${more.length === 0 ? '' : ` and ${more.length} more`}`
  const received = `${record.receivedAt.slice(0, 10)} ${record.receivedAt.slice(11, 19)}Z`
  return [record.id, received, formatSize(record.size), `<${record.reversePath.address}>`, to].map(safe)
}
