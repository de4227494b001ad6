/**
 * Where a message lies: under the minute its id was made, which a person can find and every store can page through.
 *
 *     2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.eml             the bytes, trace header first
 *     2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.json            the envelope: this one makes it a message
 *     bounced/2026/11/21/0542/01KASJ3V5QCYF6Y3W9T2Z8N4RB.json    the envelope, once the message has bounced
 *
 * The time is the id's own (UTC), so the place follows from the id alone, and the order of keys is the order of ids.
 *
 * S3 and R2 list only upwards, and newest first is what people want. Folders of fixed width, year to minute, turn that
 * around: take the last folder, in it the last, and so on; only a single minute has to be read upwards, and of it only
 * the last page is held. A folder is a minute and not an hour because that bounds this reading, and the size of a
 * directory on disk, by what arrives in a minute. A store that is still small is spared the descent: whatever fits one
 * page of a listing is taken from that.
 */
import { StorageError } from '../blob/error.ts'

/** Crockford's base 32, in order. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** 128 bits, in capitals only: an id has one spelling, also on disks that don't mind case. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
/** Of an id's characters, those that are its time. */
const TIME_LENGTH = 10
/** The folders' years have four digits. */
const MAX_TIME = Date.UTC(10000, 0) - 1

const BOUNCED = 'bounced/'
const BYTES = '.eml'
const ENVELOPE = '.json'

/** The keys of one message. */
export interface MailKeys {
  readonly bytes: string
  readonly envelope: string
  readonly bounced: string
}

/** The folder that holds the years of the messages, or of the bounced ones. */
export function rootOf(bounced: boolean): string {
  return bounced ? BOUNCED : ''
}

/**
 * Where the message with this id lies.
 *
 * @throws StorageError `invalid-id`
 */
export function keysOf(id: string): MailKeys {
  const stem = folderOf(timeOf(id)) + id
  const envelope = stem + ENVELOPE
  return { bytes: stem + BYTES, envelope, bounced: BOUNCED + envelope }
}

let lastMinute = -1
let lastFolder = ''

/** The folder of a time. Most mail is of the minute that it was asked for last: what that is called is kept. */
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

/** The id of the message whose envelope (bounced or not) is at `key`; undefined where none belongs there. */
export function idOfEnvelope(key: string): string | undefined {
  return idOf(key, ENVELOPE)
}

/** The id of the message whose bytes are at `key`; undefined where none belong there. */
export function idOfBytes(key: string): string | undefined {
  return idOf(key, BYTES)
}

function idOf(key: string, extension: string): string | undefined {
  if (!key.endsWith(extension)) return undefined
  const id = key.slice(key.lastIndexOf('/') + 1, -extension.length)
  return isId(id) ? id : undefined
}

/** Whether `folder` is one that {@link keysOf} makes, at any level below {@link rootOf}. */
export function isTimeFolder(folder: string): boolean {
  return /^(?:bounced\/)?\d{4}\/(?:\d\d\/(?:\d\d\/(?:\d{4}\/)?)?)?$/.test(folder)
}

/** Whether `folder` is a minute: it holds messages, and no more folders. */
export function isMinute(folder: string): boolean {
  return /\/\d\d\/\d{4}\/$/.test(folder)
}

/** Whether this is an id as the engine makes them: a ULID in capitals. */
export function isId(id: string): boolean {
  return decodeTime(id) !== undefined
}

/**
 * When the id was made, in milliseconds since 1970.
 *
 * @throws StorageError `invalid-id`
 */
export function timeOf(id: string): number {
  const time = decodeTime(id)
  if (time !== undefined) return time
  throw new StorageError('invalid-id', `not a message id: ${JSON.stringify(id)?.slice(0, 80)}`)
}

/** Undefined where this is no id. */
function decodeTime(id: string): number | undefined {
  if (typeof id !== 'string' || !ULID.test(id)) return undefined
  let time = 0
  for (let i = 0; i < TIME_LENGTH; i++) time = time * 32 + ALPHABET.indexOf(id.charAt(i))
  return time <= MAX_TIME ? time : undefined
}
