/** `postern show`: prints one message for a person, as JSON, or as it is stored. */
import type { QueueEntry } from '@postern/relay'
import type { MailRecord, MailStore, PathRecord, SessionFacts, StoredMail } from '@postern/storage'
import { EXIT, Failure } from '../../host/failure.ts'
import { invocation } from '../../host/invocation.ts'
import { loadMail, refused } from './mail.ts'
import { complain, print, printJson } from '../../host/output.ts'
import { recipientsTable } from '../queue/listing.ts'
import { describedSending, entriesOf, summaryOf } from '../queue/message.ts'
import { formatSize } from '../../config/values/quantity.ts'
import type { Settings } from '../../config/settings.ts'
import { openExistingStore } from '../../serve/store/store.ts'
import { safe, table } from '../../host/terminal.ts'
import { contentsOf } from '../reading/contents.ts'
import { cut } from '../reading/rows.ts'

/** Prints the message; `raw` is the stored bytes and nothing else. */
export async function show(settings: Settings, id: string, flags: { json?: boolean; raw?: boolean }): Promise<void> {
  const store = await openExistingStore(settings, { writable: false })
  if (flags.raw === true) return showRaw(store, id)
  const entries = await queued(settings, id)
  const mail = await loadMail(store, id).catch((error: unknown) => {
    throw entries.length === 0 ? error : onlyQueued(id, entries)
  })
  const { record, body } = mail
  try {
    if (flags.json === true) return await showJson(mail, entries)
    await print(`${facts(record)}\n`)
    if (entries.length > 0) await print(`${sendingText(entries)}\n`)
    await print(await beginning(body, record))
  } catch (error) {
    throw refused(error, id)
  }
}

/** Prints the document of the message, and what the queue has of it. */
async function showJson(mail: StoredMail, entries: readonly QueueEntry[]): Promise<void> {
  const { toJson } = await import('@postern/storage/document')
  await printJson({ ...(await toJson(mail)), sending: describedSending(entries) })
}

async function showRaw(store: MailStore, id: string): Promise<void> {
  const { body } = await loadMail(store, id)
  try {
    for await (const chunk of body) await print(chunk)
  } catch (error) {
    throw refused(error, id)
  }
}

/** Returns what the queue has of the message. A queue that can't be read is no reason to show nothing. */
async function queued(settings: Settings, id: string): Promise<readonly QueueEntry[]> {
  try {
    return await entriesOf(settings, id)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    complain(error.message)
    return []
  }
}

/** Says where a message is that nobody here gets. */
function onlyQueued(id: string, entries: readonly QueueEntry[]): Failure {
  const found = entries.map((entry) => `${invocation()} queue show ${entry.id}`).slice(0, 1)
  return new Failure(
    `${JSON.stringify(id)}: the store does not keep it, and it waits in the queue: ${found.join('')}`,
    EXIT.failed,
  )
}

function sendingText(entries: readonly QueueEntry[]): string {
  const { attempts, postponedUntil, failedCount } = summaryOf(entries)
  const rows = [
    ['Attempts', String(attempts)],
    ...(postponedUntil === undefined ? [] : [['Postponed until', postponedUntil]]),
    ...(failedCount === 0 ? [] : [['Given up', `${failedCount} recipient${failedCount === 1 ? '' : 's'}`]]),
  ]
  return `${table(rows)}\n${recipientsTable(entries)}`
}

function facts({
  id,
  receivedAt,
  session,
  reversePath,
  forwardPaths,
  maildir,
  size,
  sha256,
  bounce,
}: MailRecord): string {
  const { forwarded, remote, hello, reverseDns, transmissionType, tls, user } = session
  const client = remote.family === 'unix' ? 'a Unix socket' : `${remote.address}:${remote.port}`
  const rows = [
    ['Message', id],
    ['Received', `${receivedAt} from ${client}${hello === undefined ? '' : `, ${hello.verb} ${hello.name}`}`],
    ...(reverseDns === undefined ? [] : [['Reverse DNS', reverseDnsText(reverseDns)]]),
    ['With', tls === undefined ? transmissionType : `${transmissionType}, ${tls.protocol} ${tls.cipher}`],
    ...(user === undefined ? [] : [['User', user]]),
    ...(forwarded === undefined ? [] : [['First from', forwardedText(forwarded)]]),
    ['From', pathText(reversePath)],
    ...forwardPaths.map((path) => ['To', pathText(path)]),
    ...(maildir?.mailboxes ?? []).map((mailbox) => ['Mailbox', mailbox]),
    ['Size', `${formatSize(size)} (${size} bytes)`],
    ['SHA-256', sha256],
    ...(bounce === undefined ? [] : [['Bounced', `${bounce.at}: ${bounce.reason}`]]),
  ]
  return table(rows.map((row) => row.map(safe)))
}

function reverseDnsText({ result, name }: NonNullable<SessionFacts['reverseDns']>): string {
  return result === 'pass' ? name : `${name} (${result})`
}

function forwardedText(forwarded: NonNullable<MailRecord['session']['forwarded']>): string {
  return Object.entries(forwarded)
    .map(([field, value]) => `${field} ${value}`)
    .join(', ')
}

function pathText({ address, parameters }: PathRecord): string {
  const words = Object.entries(parameters).map(([name, value]) => (value === '' ? ` ${name}` : ` ${name}=${value}`))
  return `<${address}>${words.join('')}`
}

/** Returns the header and the first lines of the text, safe for a terminal, and how to see more. */
async function beginning(body: AsyncIterable<Uint8Array>, { id, summary }: MailRecord): Promise<string> {
  const { text, isCut } = await contentsOf(body)
  const { attachments = [], attachmentCount = 0 } = summary ?? {}
  const rows = attachments.map(({ section, fileName = '', type, size }) =>
    [section, cut(fileName), cut(type), formatSize(size)].map(safe),
  )
  const more = attachmentCount - attachments.length
  const listed =
    rows.length === 0
      ? ''
      : `\n${table([['PART', 'NAME', 'TYPE', 'SIZE'], ...rows])}${more > 0 ? `(${more} more)\n` : ''}`
  const isMore = isCut || attachmentCount > 0
  return `${text}\n${listed}${isMore ? `\n(There is more: ${invocation()} show --raw ${id})\n` : ''}`
}
