/** Prints what the queue has: `postern queue list`, `show` and `stats`. */
import process from 'node:process'
import { type DeliveryState, type ListQueueOptions, type Queue, type QueueEntry, Spool } from '@postern/relay'
import { described, isoTime } from '@postern/relay/entries'
import { formatSize } from '../../config/values/quantity.ts'
import { Batch } from '../../host/batch.ts'
import { EXIT, Failure } from '../../host/failure.ts'
import { invocation } from '../../host/invocation.ts'
import { print, printJson } from '../../host/output.ts'
import { isTerminal, safe, safeJson, table } from '../../host/terminal.ts'
import type { OpenQueue } from './opening.ts'
import { HEAD, nextText, replyText, rowOf, timeText } from './words.ts'

/** Which entries a command is about. */
export interface Wanted {
  readonly state?: DeliveryState
  readonly destination?: string
}

export interface ListRequest extends Wanted {
  readonly limit: number
  readonly cursor?: string
  readonly json: boolean
}

/** The most that the queue returns at once. The rows of so many entries share the widths of their columns. */
const PAGE = 1_000
const MAX_DESTINATIONS = 20

/** Prints a table with a row for each delivery, or with `json` one object: `{ entries, cursor }`. */
export async function list({ queue, place }: OpenQueue, request: ListRequest): Promise<void> {
  if (request.json) return printObject(queue, request)
  const width = isTerminal() ? process.stdout.columns : undefined
  const widths: number[] = []
  let isFirst = true
  const now = Date.now()
  const cursor = await eachPage(queue, request, async (entries) => {
    const rows = entries.flatMap((entry) =>
      entry.deliveries.filter((each) => isWanted(each, request)).map((delivery) => rowOf(entry, delivery, now)),
    )
    if (rows.length === 0) return
    await print(table(isFirst ? [HEAD, ...rows] : rows, width, widths))
    isFirst = false
  })
  // Remarks about the list go to stderr, because they are not part of it.
  const isAll = request.state === undefined && request.destination === undefined
  if (isFirst) process.stderr.write(`No ${isAll ? 'mail' : 'such mail'} in the queue ${safe(place)}.\n`)
  if (cursor !== undefined) process.stderr.write(`More: ${invocation()} queue list --cursor ${safe(cursor)}\n`)
}

/** Prints one object, page by page, because the entries may not fit into memory together. */
async function printObject(queue: Queue, request: ListRequest): Promise<void> {
  const batch = new Batch(print)
  let before = '{"entries":['
  const cursor = await eachPage(queue, request, async (entries) => {
    for (const entry of entries) {
      await batch.add(before + safeJson(described(entry)))
      before = ','
    }
  })
  const end = cursor === undefined ? '' : `,"cursor":${safeJson(cursor)}`
  await batch.add(`${before === ',' ? '' : before}]${end}}\n`)
  await batch.flush()
}

/** Calls `take` with entries, oldest first, up to the limit. @returns the cursor, if there may be more */
export async function eachPage(
  queue: Queue,
  { limit, cursor: start, state, destination }: Omit<ListRequest, 'json'>,
  take: (entries: readonly QueueEntry[]) => Promise<void>,
): Promise<string | undefined> {
  const wanted: ListQueueOptions = { state, destination }
  let left = limit
  let cursor = start
  do {
    const page = await queue.list({ ...wanted, limit: Math.min(PAGE, left), cursor })
    await take(page.entries)
    left -= page.entries.length
    cursor = page.cursor
  } while (cursor !== undefined && left > 0)
  return cursor
}

function isWanted(delivery: { state: DeliveryState; destination: string }, { state, destination }: Wanted): boolean {
  return (
    (state === undefined || delivery.state === state) &&
    (destination === undefined || delivery.destination === destination)
  )
}

/** Prints one message of the queue with each recipient; `raw` is its bytes and nothing else. */
export async function show(
  { queue, spool }: OpenQueue,
  id: string,
  { json, raw }: { readonly json: boolean; readonly raw: boolean },
): Promise<void> {
  const entry = await queue.get(id)
  if (entry === undefined) throw missing(id)
  if (json) return printJson(described(entry))
  if (raw) return printMessage(await spool(), entry)
  await print(`${facts(entry)}
${recipientsTable([entry])}`)
}

async function printMessage(spool: Spool, { messageId }: QueueEntry): Promise<void> {
  try {
    for await (const piece of spool.open(messageId)) await print(piece)
  } catch (error) {
    if (!Spool.isMissing(error)) throw error
    throw new Failure(`the message ${safe(messageId)} is not in the spool`, EXIT.failed, { cause: error })
  }
}

function facts({ id, messageId, queuedAt, envelope }: QueueEntry): string {
  const { reversePath, size, body, smtpUtf8, ret, envelopeId, requireTls, priority, deliverBy, holdUntil } = envelope
  const asked = [
    ...(body === '7BIT' ? [] : [`BODY=${body}`]),
    ...(smtpUtf8 ? ['SMTPUTF8'] : []),
    ...(ret === undefined ? [] : [`RET=${ret}`]),
    ...(envelopeId === undefined ? [] : [`ENVID=${envelopeId}`]),
    ...(requireTls === true ? ['REQUIRETLS'] : []),
    ...(priority === undefined ? [] : [`MT-PRIORITY=${priority}`]),
  ]
  const rows = [
    ['Message', id],
    ...(messageId === id ? [] : [['Stored as', messageId]]),
    ['Queued', `${isoTime(queuedAt)}, ${timeText(Date.now() - queuedAt)} ago`],
    ['From', `<${reversePath}>`],
    ...(asked.length === 0 ? [] : [['With', asked.join(' ')]]),
    ...(size === undefined ? [] : [['Size', `${formatSize(size)} (${size} bytes)`]]),
    ...(holdUntil === undefined ? [] : [['Not before', isoTime(holdUntil)]]),
    ...(deliverBy === undefined ? [] : [['Deliver by', `${isoTime(deliverBy.deadline)}, or ${deliverBy.mode}`]]),
  ]
  return table(rows.map((row) => row.map(safe)))
}

/** Makes a table with a row for each recipient. */
export function recipientsTable(entries: readonly QueueEntry[]): string {
  const now = Date.now()
  const deliveries = entries.flatMap((entry) => entry.deliveries)
  const rows = deliveries.flatMap((delivery) =>
    delivery.recipients.map(({ address, state, attempts, lastReply }) => [
      `<${address}>`,
      delivery.destination,
      state,
      String(attempts),
      nextText(state === 'pending' ? delivery : { ...delivery, state: 'finished' }, now),
      lastReply === undefined ? '' : `${isoTime(lastReply.at)} ${replyText(lastReply)}`,
    ]),
  )
  const head = ['TO', 'DESTINATION', 'STATE', 'ATTEMPTS', 'NEXT', 'LAST REPLY']
  return table([head, ...rows.map((row) => row.map(safe))])
}

/** Prints how many messages and deliveries there are, and which destinations have the most. */
export async function stats({ queue }: OpenQueue, json: boolean): Promise<void> {
  const { oldestQueuedAt, leased: _, ...counts } = await queue.stats({ maxDestinations: MAX_DESTINATIONS })
  const { entries, deliveries, destinations, otherDestinations } = counts
  if (json)
    return printJson({ ...counts, ...(oldestQueuedAt !== undefined && { oldestQueuedAt: isoTime(oldestQueuedAt) }) })
  const rows = [
    ['Messages', String(entries)],
    ...(oldestQueuedAt === undefined ? [] : [['Oldest', `${timeText(Date.now() - oldestQueuedAt)} ago`]]),
    ...Object.entries(deliveries).map(([state, count]) => [`Deliveries ${state}`, String(count)]),
  ]
  await print(table(rows))
  if (destinations.length === 0) return
  const busiest = destinations.map((each) => [safe(each.destination), String(each.deliveries)])
  await print(`\n${table([['DESTINATION', 'DELIVERIES'], ...busiest])}`)
  if (otherDestinations > 0) await print(`and ${otherDestinations} more destinations\n`)
}

export function missing(id: string): Failure {
  return new Failure(`there is no message ${safe(id)} in the queue`, EXIT.failed)
}
