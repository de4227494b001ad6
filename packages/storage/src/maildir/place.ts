/**
 * Finds the mailbox of an address: `<domain>/<local part>`, as Dovecot's `%d/%n` reads it.
 *
 * - ASCII letters are lower-case in both parts, as Dovecot writes them in the name with which a user logs in.
 * - In a local part, the text from the first `+` on is a detail (RFC 5233). The text before it names the mailbox.
 * - Characters other than letters, digits and `. _ - + =` are percent-encoded, by octets of UTF-8. So is a dot or a
 *   hyphen at the beginning of a name. `%` is encoded too, so different names stay different.
 * - A name that would be too long for a file ends in `%-` and the SHA-256 of the whole name. Percent-encoding never
 *   makes `%-`.
 *
 * So for every address, a place is two directories below the store, and neither of them is hidden.
 */
import { createHash } from 'node:crypto'
import { asciiDomain, type Path } from '@postern/engine'

/** The longest name of a file on Linux and macOS, in bytes. */
const MAX_NAME_BYTES = 255
const HEAD_BYTES = 160
const SAFE = /^[a-z0-9._+=-]$/
/** Matches the names that {@link encodeName} makes. */
const NAME = /^(?:[a-z0-9_+=]|%[0-9A-F]{2}|%-)(?:[a-z0-9._+=-]|%[0-9A-F]{2}|%-)*$/

/** Returns the mailbox of a forward-path. A path without a domain, which is the postmaster's, is at `hostname`. */
export function mailboxOf(path: Pick<Path, 'localPart' | 'domain' | 'literal'>, hostname: string): string {
  return `${encodeName(domainOf(path, hostname))}/${encodeName(withoutTag(path.localPart))}`
}

/** Returns whether {@link mailboxOf} can make this mailbox. Called for every mailbox that is read from a disk. */
export function isMailbox(place: string): boolean {
  const names = place.split('/')
  return names.length === 2 && names.every((name) => name.length <= MAX_NAME_BYTES && NAME.test(name))
}

function withoutTag(localPart: string): string {
  const at = localPart.indexOf('+')
  return at > 0 ? localPart.slice(0, at) : localPart
}

/** Returns one spelling for all spellings of a domain. */
function domainOf({ domain, literal }: Pick<Path, 'domain' | 'literal'>, hostname: string): string {
  if (literal?.family === 'ipv4') return `[${literal.address.split('.').map(Number).join('.')}]`
  if (literal?.family === 'ipv6') return `[ipv6:${shortIpv6(literal.address)}]`
  // Most programs give Dovecot A-labels, even if the user writes letters of another script.
  return domain === '' ? hostname : (asciiDomain(domain) ?? domain)
}

/** Returns an IPv6 address in its shortest form. */
function shortIpv6(address: string): string {
  const url = `http://[${address}]/`
  return URL.canParse(url) ? new URL(url).hostname.slice(1, -1) : address
}

function encodeName(text: string): string {
  const lower = text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  let name = ''
  for (const octet of new TextEncoder().encode(lower)) {
    const character = String.fromCharCode(octet)
    const isSafe = SAFE.test(character) && (name !== '' || !/[.-]/.test(character))
    name += isSafe ? character : `%${octet.toString(16).toUpperCase().padStart(2, '0')}`
  }
  if (name === '') return '%-'
  if (name.length <= MAX_NAME_BYTES) return name
  // Does not cut an encoded octet in the middle.
  const head = name.slice(0, HEAD_BYTES).replace(/%[0-9A-F]?$/, '')
  return `${head}%-${createHash('sha256').update(lower).digest('hex')}`
}
