/** `postern show`: prints one message for a person, as JSON, or as it is stored. */
import type { MailRecord, PathRecord, SessionFacts } from '@postern/storage'
import { invocation } from '../../host/invocation.ts'
import { loadMail, refused } from './mail.ts'
import { print, printJson } from '../../host/output.ts'
import { formatSize } from '../../config/values/quantity.ts'
import type { Settings } from '../../config/settings.ts'
import { openExistingStore } from '../../serve/store/store.ts'
import { decodeText, safe, safeLines, table } from '../../host/terminal.ts'

/** The greatest part of a message that is shown to a person. */
const MAX_SHOWN_BYTES = 64 * 1024
const MAX_TEXT_LINES = 40

/** Prints the message; `raw` is the stored bytes and nothing else. */
export async function show(settings: Settings, id: string, flags: { json?: boolean; raw?: boolean }): Promise<void> {
  const { record, body } = await loadMail(await openExistingStore(settings, { writable: false }), id)
  if (flags.json === true) return printJson(record)
  try {
    if (flags.raw === true) {
      for await (const chunk of body) await print(chunk)
      return
    }
    await print(`${facts(record)}\n`)
    await print(await beginning(body, record))
  } catch (error) {
    throw refused(error, id)
  }
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

/** Returns the header and the first lines of the text, safe for a terminal, and how much more there is. */
async function beginning(body: AsyncIterable<Uint8Array>, { id, size }: MailRecord): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length >= MAX_SHOWN_BYTES) break
  }
  const read = Buffer.concat(chunks)
  const text = decodeText(read.subarray(0, MAX_SHOWN_BYTES))
  const lines = text.split(/\r?\n/)
  const headerLines = lines.indexOf('') === -1 ? lines.length : lines.indexOf('') + 1
  const shown = lines.slice(0, headerLines + MAX_TEXT_LINES)
  const isWhole = shown.length === lines.length && size <= MAX_SHOWN_BYTES
  const more = isWhole ? '' : `\n(There is more: ${invocation()} show --raw ${id})\n`
  return `${safeLines(shown.join('\n')).trimEnd()}\n${more}`
}
