/**
 * Names of files in a Maildir: `time.unique.host`, then the sizes of the file.
 *
 * The unique part is the message's id. No other message has it, and the store finds the file by it. The time is the one
 * in the id. A reader moves the file from `new` to `cur`, and adds `:2,` and the message's flags. It does not change
 * the part before the colon.
 */
import { timeOf } from '../record/layout.ts'

/** The greatest length of the host's name, in characters, so that the whole name with flags fits into 255 bytes. */
const MAX_HOST_CHARACTERS = 128
const UNIQUE = /^\d{1,15}\.[0-9A-HJKMNP-TV-Z]{26}\.[A-Za-z0-9._\\-]{0,128}$/

/**
 * Makes the first part of a file's name. A slash would end the name, and a colon begins the flags. So these, and all
 * other characters that a host name cannot have, are written in octal, as in the Maildir specification.
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
 * Makes the name in `new` of a file of `size` bytes. Dovecot reads sizes from it, so it needs no call for each file. It
 * reads the size and, if it is there, the size with CRLF line ends.
 */
export function fileName(unique: string, size: number, crlfSize?: number): string {
  return `${unique},S=${size}${crlfSize === undefined ? '' : `,W=${crlfSize}`}`
}

/** Reads a name in `new`: the unique part and the size. Returns undefined if {@link fileName} cannot make that name. */
export function parseFileName(name: string): { readonly unique: string; readonly size: number } | undefined {
  const [, unique, size] = /^([^,]+),S=(\d{1,15})(?:,W=\d{1,15})?$/.exec(name) ?? []
  return unique !== undefined && UNIQUE.test(unique) ? { unique, size: Number(size) } : undefined
}

/**
 * Returns the unique part of a name in `new` or `cur`. Flags may follow, and another program may have changed the
 * sizes. Returns undefined if the name is not one of ours.
 */
export function uniquePartOf(name: string): string | undefined {
  const [unique = ''] = name.split(/[,:]/, 1)
  return UNIQUE.test(unique) ? unique : undefined
}

/** Returns whether a file in `tmp` is one of ours. Other programs remove their own files. */
export function isTemporaryOfOurs(name: string): boolean {
  const end = name.lastIndexOf('-')
  return end > 0 && UNIQUE.test(name.slice(0, end)) && /^\d+$/.test(name.slice(end + 1))
}
