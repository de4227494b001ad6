/** `postern list`: prints the stored messages, newest first. With `--follow` it prints the newest ones, oldest first, and then each new one. */
import process from 'node:process'
import type { MailRecord, MailStore, WalkMailOptions } from '@postern/storage'
import { Failure } from '../../host/failure.ts'
import { invocation } from '../../host/invocation.ts'
import { type Filter, type FilterFlags, filterOf, parseSince } from '../reading/filter.ts'
import { followerOf, newMail, reportCorrupt } from './new-mail.ts'
import { countMail, walkMail } from './mail.ts'
import { Batch } from '../../host/batch.ts'
import { print, printJson } from '../../host/output.ts'
import { Progress } from '../reading/progress.ts'
import { HEAD, rowOf, WIDTHS } from '../reading/rows.ts'
import type { Settings } from '../../config/settings.ts'
import { openExistingStore } from '../../serve/store/store.ts'
import { untilSignal } from '../reading/until-signal.ts'
import { storeName } from '../../config/urls/store-url.ts'
import { isTerminal, safe, safeJson, table } from '../../host/terminal.ts'

/** The flags of `postern list`. */
export interface ListFlags extends FilterFlags {
  readonly limit: string
  readonly cursor?: string
  readonly since?: string
  readonly bounced?: boolean
  readonly follow?: boolean
  readonly json?: boolean
}

/** The messages to list. */
interface Request {
  readonly limit: number
  readonly isMatch: Filter
  readonly walk: WalkMailOptions
}

/** The remarks below a list. */
interface Remarks {
  readonly count: number
  /** The ids of messages whose record can't be read. */
  readonly corrupt: readonly string[]
  /** Present if there may be more. */
  readonly cursor: string | undefined
}

/** The number of rows that are in memory at once, and that share the widths of their columns. */
const ROWS_AT_ONCE = 1000

/** Prints a table, or with `json` one object: `{ records, corrupt, cursor }`. */
export async function list(settings: Settings, flags: ListFlags): Promise<void> {
  const request = requestOf(flags)
  const store = await openExistingStore(settings, { writable: false })
  if (flags.follow === true) return follow(store, settings, request, flags.json === true)
  if (flags.json === true) return printObject(store, request)

  const { count, corrupt, cursor } = await printTable(store, request)
  if (count === 0 && corrupt.length === 0) {
    const isAll = flags.from === undefined && flags.to === undefined && flags.since === undefined
    process.stderr.write(`No ${isAll ? 'mail' : 'such mail'} in ${storeName(settings.options.store)}.\n`)
  }
  // Remarks about the list go to stderr, because they are not part of it.
  if (corrupt.length > 0)
    process.stderr.write(`postern: messages whose record can't be read: ${corrupt.map(safe).join(', ')}\n`)
  if (cursor !== undefined) process.stderr.write(`More: ${invocation()} list --cursor ${safe(cursor)}\n`)
}

function requestOf(flags: ListFlags): Request {
  const { limit, cursor, since, bounced, follow } = flags
  if (!/^[1-9]\d{0,6}$/.test(limit))
    throw new Failure(`--limit: ${JSON.stringify(limit)} is not a whole number from 1 to 9999999`)
  if (follow === true && (cursor !== undefined || bounced === true))
    throw new Failure(`--follow: cannot be used with ${cursor === undefined ? '--bounced' : '--cursor'}`)
  const walk: WalkMailOptions = {
    bounced: bounced === true,
    ...(cursor !== undefined && { before: cursor }),
    ...(since !== undefined && { since: parseSince(since) }),
  }
  return { limit: Number(limit), isMatch: filterOf(flags), walk }
}

/** Calls `take` with each record, newest first, up to the limit. */
async function eachRecord(
  store: MailStore,
  { limit, isMatch, walk }: Request,
  take: (record: MailRecord) => Promise<void> | void,
): Promise<Remarks> {
  const isLong = limit > ROWS_AT_ONCE && isTerminal(process.stderr)
  const progress = new Progress(true, isLong ? Math.min(limit, await countMail(store, walk)) : undefined)
  const corrupt: string[] = []
  let count = 0
  let last: string | undefined
  let cursor: string | undefined
  for await (const { id, mail } of walkMail(store, walk)) {
    if (count === limit) {
      cursor = last
      break
    }
    last = id
    progress.add(mail?.record.size)
    if (mail === undefined) corrupt.push(id)
    else if (isMatch(mail.record)) {
      count++
      progress.clear()
      await take(mail.record)
    }
  }
  progress.clear()
  return { count, corrupt, cursor }
}

async function printTable(store: MailStore, request: Request): Promise<Remarks> {
  const width = isTerminal() ? process.stdout.columns : undefined
  const widths: number[] = []
  let rows: (readonly string[])[] = [HEAD]
  const remarks = await eachRecord(store, request, async (record) => {
    if (rows.push(rowOf(record)) < ROWS_AT_ONCE) return
    await print(table(rows, width, widths))
    rows = []
  })
  if (remarks.count > 0) await print(table(rows, width, widths))
  return remarks
}

/** Prints one object, record by record, because the records may not fit into memory together. */
async function printObject(store: MailStore, request: Request): Promise<void> {
  const batch = new Batch(print)
  let before = '{"records":['
  const { corrupt, cursor } = await eachRecord(store, request, async (record) => {
    await batch.add(before + safeJson(record))
    before = ','
  })
  const rest = safeJson({ corrupt, cursor })
  await batch.add(`${before === ',' ? '' : before}],${rest.slice(1)}\n`)
  await batch.flush()
}

/** Prints the newest messages, oldest first, then each new one as it comes, until SIGINT or SIGTERM. */
async function follow(store: MailStore, settings: Settings, request: Request, isJson: boolean): Promise<void> {
  const widths = [...WIDTHS]
  const show = (record: MailRecord): Promise<void> =>
    isJson ? printJson({ record }) : print(table([rowOf(record)], undefined, widths))
  await untilSignal(async (signal) => {
    const follower = followerOf(store, settings, signal)
    await follower.skipPresent()
    const present: MailRecord[] = []
    const { corrupt } = await eachRecord(store, request, (record) => {
      follower.skip(record.id)
      present.push(record)
    })
    corrupt.forEach(reportCorrupt)
    if (!isJson) await print(table([HEAD], undefined, widths))
    for (const record of present.toReversed()) await show(record)
    for await (const { id, mail } of newMail(follower)) {
      if (mail === undefined) reportCorrupt(id)
      else if (request.isMatch(mail.record)) await show(mail.record)
    }
  })
}
