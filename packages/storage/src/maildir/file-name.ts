/**
 * Names of files in a Maildir: `time.unique.host`, then what is said of the file.
 *
 * The unique part is the message's id, by which it is found again, and which no other message has. The time is the id's own. A
 * reader moves the file from `new` to `cur`, and adds `:2,` and the message's flags; what stands before the colon stays.
 */
import { timeOf } from '../mail/layout.ts'

/** Of a host's name: the whole has to fit into 255 bytes, with flags. */
const MAX_HOST_CHARACTERS = 128
const UNIQUE = /^\d{1,15}\.[0-9A-HJKMNP-TV-Z]{26}\.[A-Za-z0-9._\\-]{0,128}$/

/**
 * The first part of a message's name. A slash would end the name and a colon begins its flags: they, and whatever else is in no
 * host name, are written as the Maildir specification does, in octal.
 *
 * @throws StorageError `invalid-id`
 */
export function uniqueName(id: string, host: string): string {
  const safe = host
    .replace(/[^A-Za-z0-9._-]/g, (each) => `\\${(each.charCodeAt(0) & 0o377).toString(8).padStart(3, '0')}`)
    .slice(0, MAX_HOST_CHARACTERS)
  return `${Math.floor(timeOf(id) / 1000)}.${id}.${safe}`
}

/**
 * The name in `new`, of a file of `size` bytes. Dovecot reads from it what it would have to ask of each file: its size, and where that
 * is given, the size with lines that end in CRLF.
 */
export function fileName(unique: string, size: number, crlfSize?: number): string {
  return `${unique},S=${size}${crlfSize === undefined ? '' : `,W=${crlfSize}`}`
}

/** What a name in `new` says: the unique part and the size. Undefined where it is none that {@link fileName} can make. */
export function parseFileName(name: string): { readonly unique: string; readonly size: number } | undefined {
  const [, unique, size] = /^([^,]+),S=(\d{1,15})(?:,W=\d{1,15})?$/.exec(name) ?? []
  return unique !== undefined && UNIQUE.test(unique) ? { unique, size: Number(size) } : undefined
}

/**
 * The unique part of a name in `new` or `cur`, with any flags; another program may have had its say on the sizes. Undefined where it
 * is no name of ours.
 */
export function uniquePartOf(name: string): string | undefined {
  const [unique = ''] = name.split(/[,:]/, 1)
  return UNIQUE.test(unique) ? unique : undefined
}

/** Whether a file in `tmp` is one of ours: another program's are its own to remove. */
export function isTemporaryOfOurs(name: string): boolean {
  const end = name.lastIndexOf('-')
  return end > 0 && UNIQUE.test(name.slice(0, end)) && /^\d+$/.test(name.slice(end + 1))
}
