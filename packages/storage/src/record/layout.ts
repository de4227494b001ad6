/**
 * The keys of a message: they begin with the minute in which its id was made. People can find it, and every store can list it.
 *
 *     2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.eml             the bytes, trace header first
 *     2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.json            the envelope: the message exists if this blob exists
 *     bounced/2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.json    the envelope, once the message has bounced
 *     attachments/2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.2   a decoded attachment, section 2, if attachments are kept apart
 *
 * The time is in the id (UTC). So the keys follow from the id alone, and the order of keys is the order of ids.
 *
 * S3 and R2 list in ascending order only, and people want the newest mail first. Folders have a fixed width, from year to minute. So a
 * listing takes the last folder, the last folder in it, and so on. Only a minute with more keys than a page needs more calls
 * (newest.ts). A folder is a minute and not an hour, so that the mail of one minute bounds these calls, and the size of a directory on
 * disk. If a folder fits into one page, the listing takes that page and does not descend.
 */
import { StorageError } from '../blob/error.ts'

/** Crockford's base 32, in order. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** 128 bits, in capitals only. So an id has one spelling, even on disks that ignore case. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
/** The number of characters of an id that are its time. */
const TIME_LENGTH = 10
const ID_LENGTH = 26
/** The folders' years have four digits. */
const MAX_TIME = Date.UTC(10000, 0) - 1

const BOUNCED = 'bounced/'
/** How all keys of attachments begin. */
export const ATTACHMENTS = 'attachments/'
/** A section of IMAP: numbers with dots. It is bounded, because it is in a key. */
const SECTION = /^[1-9]\d{0,8}(?:\.[1-9]\d{0,8}){0,20}$/
const BYTES = '.eml'
export const ENVELOPE = '.json'
/** Greater than every year, and less than {@link BOUNCED}. */
export const PAST_YEARS = 'A'

/** The keys of one message. */
export interface MailKeys {
  readonly bytes: string
  readonly envelope: string
  readonly bounced: string
}

/** Returns the folder that holds the years of the messages, or of the bounced ones. */
export function rootOf(bounced: boolean): string {
  return bounced ? BOUNCED : ''
}

/**
 * Returns the keys of the message with this id.
 *
 * @throws StorageError `invalid-id`
 */
export function keysOf(id: string): MailKeys {
  const stem = stemOf(id, false)
  const envelope = stem + ENVELOPE
  return { bytes: stem + BYTES, envelope, bounced: BOUNCED + envelope }
}

/**
 * Returns the keys of the message without their extensions. The keys of smaller ids are less than the result. The keys of this id and of
 * greater ids are greater than it.
 *
 * @throws StorageError `invalid-id`
 */
export function stemOf(id: string, bounced: boolean): string {
  return rootOf(bounced) + folderOf(timeOf(id)) + id
}

/**
 * Returns the key of an attachment that is kept apart.
 * @throws StorageError `invalid-id`, or `invalid-key` if no part has this section
 */
export function attachmentKey(id: string, section: string): string {
  if (!isSection(section))
    throw new StorageError('invalid-key', `not a section: ${JSON.stringify(section)?.slice(0, 80)}`)
  return attachmentsPrefix(id) + section
}

/** Returns whether a part of this section can be kept apart. Parts of messages nested more than 20 deep can't. */
export function isSection(section: string): boolean {
  return SECTION.test(section)
}

/**
 * Returns how the keys of a message's attachments begin.
 * @throws StorageError `invalid-id`
 */
export function attachmentsPrefix(id: string): string {
  return `${ATTACHMENTS}${stemOf(id, false)}.`
}

/** Returns the id of the message whose attachment is at `key`; undefined if no attachment belongs there. */
export function idOfAttachment(key: string): string | undefined {
  const start = key.lastIndexOf('/') + 1
  const id = key.slice(start, start + ID_LENGTH)
  if (!isId(id)) return undefined
  const prefix = attachmentsPrefix(id)
  return key.startsWith(prefix) && isSection(key.slice(prefix.length)) ? id : undefined
}

let lastMinute = -1
let lastFolder = ''

/** Returns the folder of a time. Keeps the last result, because most mail is of the same minute as the mail before. */
function folderOf(ms: number): string {
  const minute = Math.floor(ms / 60_000)
  if (minute !== lastMinute) {
    // 2026-11-21T05:42:…
    const text = new Date(ms).toISOString()
    lastFolder = `${text.slice(0, 10).replaceAll('-', '/')}/${text.slice(11, 13)}${text.slice(14, 16)}/`
    lastMinute = minute
  }
  return lastFolder
}

/** Returns the id of the message whose envelope (bounced or not) is at `key`; undefined if no envelope belongs there. */
export function idOfEnvelope(key: string): string | undefined {
  return idOf(key, ENVELOPE)
}

/** Returns the id of the message whose bytes are at `key`; undefined if no bytes belong there. */
export function idOfBytes(key: string): string | undefined {
  return idOf(key, BYTES)
}

/** Returns the id of the message whose bytes or envelope are at `key`; undefined if neither belongs there. */
export function idOfMail(key: string): string | undefined {
  return idOf(key, BYTES) ?? idOf(key, ENVELOPE)
}

function idOf(key: string, extension: string): string | undefined {
  if (!key.endsWith(extension)) return undefined
  const id = key.slice(key.lastIndexOf('/') + 1, -extension.length)
  return isId(id) ? id : undefined
}

/** Returns whether `folder` holds the years of bounced messages, or of attachments. */
export function isRootFolder(folder: string): boolean {
  return folder === BOUNCED || folder === ATTACHMENTS
}

/** Returns whether keys of this file can have `folder`, at any level below {@link isRootFolder}. */
export function isTimeFolder(folder: string): boolean {
  return /^(?:bounced\/|attachments\/)?\d{4}\/(?:\d\d\/(?:\d\d\/(?:\d{4}\/)?)?)?$/.test(folder)
}

/** Returns whether `folder` is a minute, which holds messages and no folders. */
export function isMinute(folder: string): boolean {
  return /\/\d\d\/\d{4}\/$/.test(folder)
}

/** Returns when the minute of this folder begins, in milliseconds since 1970. */
export function minuteOf(folder: string): number {
  const [year, month, day, time = ''] = folder.split('/').slice(-5)
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(time.slice(0, 2)), Number(time.slice(2)))
}

/** Returns whether this is an id in the engine's form: a ULID in capitals. */
export function isId(id: string): boolean {
  return decodeTime(id) !== undefined
}

/**
 * Returns when the id was made, in milliseconds since 1970.
 *
 * @throws StorageError `invalid-id`
 */
export function timeOf(id: string): number {
  const time = decodeTime(id)
  if (time !== undefined) return time
  throw new StorageError('invalid-id', `not a message id: ${JSON.stringify(id)?.slice(0, 80)}`)
}

/** Returns the smallest id of this time. A time before 1970 counts as 1970, a time after the year 9999 as the last moment of 9999. */
export function firstIdAt(ms: number): string {
  let left = Math.min(Math.max(0, Math.floor(ms)), MAX_TIME)
  let time = ''
  for (let i = 0; i < TIME_LENGTH; i++, left = Math.floor(left / 32)) time = ALPHABET.charAt(left % 32) + time
  return time.padEnd(ID_LENGTH, '0')
}

/** Returns undefined if the text is not an id. */
function decodeTime(id: string): number | undefined {
  if (typeof id !== 'string' || !ULID.test(id)) return undefined
  let time = 0
  for (let i = 0; i < TIME_LENGTH; i++) time = time * 32 + ALPHABET.indexOf(id.charAt(i))
  return time <= MAX_TIME ? time : undefined
}
