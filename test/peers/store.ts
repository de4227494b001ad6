/** Reads the store on disk without the server's code, because users may rely on the layout. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MailRecord } from '@postern/storage'

/** A stored message. */
export interface Kept {
  readonly record: MailRecord
  /** The file, trace header included. */
  readonly stored: Buffer
  /** The trace header, CRLF included. */
  readonly trace: string
  /** The bytes below it. */
  readonly bytes: Buffer
}

/** Returns the paths of all files relative to the store, except the marker file. */
export async function filesIn(store: string): Promise<string[]> {
  const entries = await readdir(store, { recursive: true, withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(store.length + 1))
    .filter((file) => file !== '.postern')
}

/** Returns the ids of messages with an envelope, oldest first. */
export async function keptIds(store: string): Promise<string[]> {
  const files = await filesIn(store)
  const envelopes = files.filter((file) => !/^(\.|bounced\/)/.test(file) && file.endsWith('.json'))
  return envelopes.map((file) => file.slice(file.lastIndexOf('/') + 1, -'.json'.length)).toSorted()
}

/** Reads one message, and checks it against its record. */
export async function readKept(store: string, id: string): Promise<Kept> {
  const folder = join(store, folderOf(id))
  return checkedKept(id, await readFile(join(folder, `${id}.json`), 'utf8'), await readFile(join(folder, `${id}.eml`)))
}

/** Makes a message from its two blobs, and checks them against each other. */
export function checkedKept(id: string, envelope: string, stored: Buffer): Kept {
  const record = JSON.parse(envelope) as MailRecord
  if (record.id !== id) throw new Error(`${id}: the record is of ${record.id}`)
  if (record.size !== stored.length) throw new Error(`${id}: ${stored.length} bytes, the record says ${record.size}`)
  if (record.sha256 !== sha256(stored)) throw new Error(`${id}: the record has another SHA-256`)
  const traceEnd = endOfTrace(stored)
  return { record, stored, trace: stored.toString('latin1', 0, traceEnd), bytes: stored.subarray(traceEnd) }
}

/** Reads all kept messages, oldest first. */
export async function readAll(store: string): Promise<Kept[]> {
  return Promise.all((await keptIds(store)).map((id) => readKept(store, id)))
}

/** Returns the only message to this recipient. */
export async function keptFor(store: string, address: string): Promise<Kept> {
  const all = await readAll(store)
  const found = all.filter(({ record }) => record.forwardPaths.some((path) => path.address === address))
  if (found.length !== 1) throw new Error(`${found.length} messages to ${address}`)
  return found[0] as Kept
}

/** The `with` clause of the trace header. */
export function protocolOf({ trace }: Kept): string {
  return /\bwith (\w+)/.exec(trace)?.[1] ?? ''
}

/** The id in `250 2.0.0 OK queued as <id>`. */
export function idIn(text: string): string {
  const id = /\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b/.exec(text)?.[0]
  if (id === undefined) throw new Error(`no id in ${JSON.stringify(text)}`)
  return id
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Says briefly where two messages differ, because they may have 25 MiB. */
export function difference(got: Buffer, wanted: Buffer): string | undefined {
  if (got.equals(wanted)) return undefined
  let at = 0
  while (at < got.length && got[at] === wanted[at]) at++
  const near = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1', Math.max(0, at - 10), at + 30))
  return `${got.length} octets, wanted ${wanted.length}; at ${at}: got ${near(got)}, wanted ${near(wanted)}`
}

/** The folder of a message follows from the time in its id. */
export function folderOf(id: string): string {
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
  const time = id
    .slice(0, 10)
    .split('')
    .reduce((sum, digit) => sum * 32 + digits.indexOf(digit), 0)
  const minute = new Date(time).toISOString()
  return `${minute.slice(0, 10).replaceAll('-', '/')}/${minute.slice(11, 13)}${minute.slice(14, 16)}`
}

/** The trace header is the first field: it ends at the first CRLF that no blank follows. */
function endOfTrace(stored: Buffer): number {
  if (!stored.subarray(0, 9).equals(Buffer.from('Received:'))) throw new Error('the first field is no Received:')
  for (let at = stored.indexOf('\r\n'); at >= 0; at = stored.indexOf('\r\n', at + 2)) {
    // The last line of the header is the date. The client's text may begin with a blank.
    const lineStart = stored.lastIndexOf('\r\n', at - 1) + 2
    const line = stored.toString('latin1', lineStart, at)
    if (/^ \w{3}, \d\d \w{3} \d{4} [\d:]{8} \+0000$/.test(line)) return at + 2
  }
  throw new Error('the trace header has no end')
}
