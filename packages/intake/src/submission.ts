/**
 * Completes messages that a user submits, as RFC 6409 8 allows: adds Date, Message-ID and From if they are missing, and Sender if From
 * names somebody else. It reads the header before the store does, and changes no byte of what the client sent.
 */
import type { Message, Session } from '@postern/engine'
import type { IncomingMail } from '@postern/storage'
import { parseAddress } from './directory/address.ts'
import type { AddressBook } from './guards/accounts.ts'

/** The fields that decide what is added. */
const FIELDS = ['date', 'from', 'message-id', 'sender'] as const
type Field = (typeof FIELDS)[number]

/** A longer header is left as it is. */
const MAX_HEADER_BYTES = 256 * 1024
/** Addresses of From that are looked at. */
const MAX_FROM_ADDRESSES = 20
/** Most headers fit. */
const FIRST_BYTES = 4096
const LF = 10
const CR = 13
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8')

export interface SubmissionOptions {
  /** For Message-ID. */
  readonly hostname: string
  /** Returns who says which addresses are the user's. Without `maySendAs`, every From is. */
  book(): AddressBook
}

/** The header, and the bytes behind it that came with it. */
interface Begun {
  readonly bytes: Uint8Array
  /** Where the header ends: before the empty line. -1 if it did not end within the bytes. */
  readonly headerEnd: number
}

/**
 * Reads the header, and returns the message with the fields that were missing.
 * @throws MessageError if the message will never be whole
 */
export async function completed(
  message: Message & Pick<IncomingMail, 'facts'>,
  { user }: Session,
  { hostname, book }: SubmissionOptions,
): Promise<IncomingMail> {
  const begun = await readHeader(message)
  const added = begun.headerEnd === -1 ? '' : await missingFields(begun, message, user ?? '', hostname, book())
  let first: Uint8Array | undefined = begun.bytes
  return {
    id: message.id,
    envelope: message.envelope,
    receivedAt: message.receivedAt,
    trace: added === '' ? message.trace : behind(message.trace, encoder.encode(added)),
    read() {
      const bytes = first
      if (bytes === undefined || bytes.length === 0) return message.read()
      first = undefined
      return bytes
    },
    ...(message.facts !== undefined && { facts: message.facts.bind(message) }),
  }
}

async function readHeader(message: Message): Promise<Begun> {
  let buffer = new Uint8Array(FIRST_BYTES)
  let size = 0
  for (;;) {
    const chunk = await message.read()
    // A message without an empty line is nothing but a header.
    if (chunk === null) return { bytes: buffer.subarray(0, size), headerEnd: size }
    if (size + chunk.length > buffer.length) {
      const grown = new Uint8Array(Math.max(2 * buffer.length, size + chunk.length))
      grown.set(buffer.subarray(0, size))
      buffer = grown
    }
    // The view is valid only until the next read.
    buffer.set(chunk, size)
    const bytes = buffer.subarray(0, size + chunk.length)
    // The empty line may have begun in the bytes before.
    const headerEnd = emptyLineIn(bytes, Math.max(0, size - 2))
    size = bytes.length
    if (headerEnd !== -1 || size > MAX_HEADER_BYTES) return { bytes, headerEnd }
  }
}

/** Returns where the empty line begins; -1 if there is none yet. */
function emptyLineIn(bytes: Uint8Array, from: number): number {
  if (bytes[0] === CR && bytes[1] === LF) return 0
  for (let at = bytes.indexOf(LF, from); at !== -1; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at + 1] === CR && bytes[at + 2] === LF) return at + 1
  }
  return -1
}

async function missingFields(
  { bytes, headerEnd }: Begun,
  { id, receivedAt }: Message,
  user: string,
  hostname: string,
  book: AddressBook,
): Promise<string> {
  const fields = fieldsIn(decoder.decode(bytes.subarray(0, headerEnd)))
  const lines: string[] = []
  if (!fields.has('date')) lines.push(`Date: ${receivedAt.toUTCString().replace('GMT', '+0000')}`)
  if (!fields.has('message-id')) lines.push(`Message-ID: <${id}@${hostname.replace(/[[\]:]/g, '-')}>`)
  // A name that is not an address cannot be one of these fields.
  if (isPlainAddress(user)) {
    const [from, another] = fields.get('from') ?? []
    if (from === undefined) lines.push(`From: <${user}>`)
    else if (!fields.has('sender')) {
      // Of two From fields, a reader may show either.
      const isOwn = another === undefined && (await namesUser(from, user, book))
      if (!isOwn) lines.push(`Sender: <${user}>`)
    }
  }
  return lines.map((line) => `${line}\r\n`).join('')
}

/** Returns the values of each field that matters, unfolded. */
function fieldsIn(header: string): ReadonlyMap<Field, readonly string[]> {
  const found = new Map<Field, string[]>()
  let last: string[] | undefined
  for (const line of header.split('\r\n')) {
    if (line.startsWith(' ') || line.startsWith('\t')) {
      if (last !== undefined) last.push(`${last.pop() ?? ''} ${line.trim()}`)
      continue
    }
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).trimEnd().toLowerCase()
    const field = FIELDS.find((one) => one === name)
    last = field && (found.get(field) ?? [])
    if (field === undefined || last === undefined) continue
    last.push(line.slice(colon + 1))
    found.set(field, last)
  }
  return found
}

async function namesUser(from: string, user: string, book: AddressBook): Promise<boolean> {
  if (book.maySendAs === undefined) return true
  for (const address of addressesIn(from)) {
    const path = parseAddress(address)
    if (path !== undefined && (await book.maySendAs(user, path))) return true
  }
  return false
}

/**
 * Returns the addresses of the mailboxes (RFC 5322 3.4). What stands in a comment, in a display name or in the name of a group is none,
 * because a user could put the own address there and another one where readers look.
 */
function addressesIn(from: string): string[] {
  const addresses: string[] = []
  let address = ''
  let commentDepth = 0
  let quotedUntil = ''
  let isInside = false
  let isClosed = false
  for (let at = 0; at < from.length && addresses.length < MAX_FROM_ADDRESSES; at++) {
    // A backslash takes the meaning from the character behind it.
    const sign = from[at] === '\\' ? from.slice(at, ++at + 1) : (from[at] ?? '')
    if (quotedUntil !== '') {
      if (sign === quotedUntil) quotedUntil = ''
      address += sign
    } else if (sign === '(') commentDepth++
    else if (sign === ')') commentDepth = Math.max(0, commentDepth - 1)
    else if (commentDepth > 0) continue
    else if (sign === '<' && !isClosed) {
      address = ''
      isInside = true
    } else if (sign === '>' && isInside) {
      isInside = false
      isClosed = true
    } else if (sign === ':') address = ''
    else if (!isInside && (sign === ',' || sign === ';')) {
      addresses.push(address)
      address = ''
      isClosed = false
    } else if (!isClosed || sign !== ' ') {
      if (sign === '"') quotedUntil = '"'
      if (sign === '[') quotedUntil = ']'
      address += sign
    }
  }
  return [...addresses, address].map((one) => one.trim()).filter((one) => one !== '')
}

function isPlainAddress(text: string): boolean {
  return /^[\x21-\x7e]{3,254}$/.test(text) && !/[<>,;:()\s]/.test(text) && parseAddress(text) !== undefined
}

function behind(trace: Uint8Array, added: Uint8Array): Uint8Array {
  const all = new Uint8Array(trace.length + added.length)
  all.set(trace)
  all.set(added, trace.length)
  return all
}
