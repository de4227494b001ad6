/**
 * Which mailbox an address has: `<domain>/<local part>`, as Dovecot's `%d/%n` reads it.
 *
 * - Letters of ASCII are lower-case in both parts, as Dovecot makes them in the name that a user logs in with.
 * - What follows the first `+` of a local part is the sender's own note (RFC 5233), and the mailbox is that of what stands before it.
 * - What is no letter, digit or one of `. _ - + =` is percent-encoded, by octets of UTF-8; so is a dot or a hyphen that begins a
 *   name. `%` is encoded too, so what differs stays different.
 * - A name that would be longer than a file's may be ends in `%-` and the SHA-256 of all of it, which no encoding makes.
 *
 * So a place is always two directories below the store, neither of them hidden, whatever the address.
 */
import { createHash } from 'node:crypto'
import type { Path } from '@postern/engine'

/** A file name's bound on Linux and macOS, in bytes. */
const MAX_NAME_BYTES = 255
const HEAD_BYTES = 160
/** No domain is longer (RFC 1035 2.3.4), and the time that it takes to make A-labels grows with the square of the length. */
const MAX_DOMAIN_LENGTH = 255
const SAFE = /^[a-z0-9._+=-]$/
/** What {@link encodeName} makes. */
const NAME = /^(?:[a-z0-9_+=]|%[0-9A-F]{2}|%-)(?:[a-z0-9._+=-]|%[0-9A-F]{2}|%-)*$/

/** The mailbox of a forward-path. One without a domain, which is the postmaster's, is at `hostname`. */
export function mailboxOf(path: Pick<Path, 'localPart' | 'domain' | 'literal'>, hostname: string): string {
  return `${encodeName(domainOf(path, hostname))}/${encodeName(withoutTag(path.localPart))}`
}

/** Whether this is a mailbox that {@link mailboxOf} can make. Whatever is read from a disk has to be asked. */
export function isMailbox(place: string): boolean {
  const names = place.split('/')
  return names.length === 2 && names.every((name) => name.length <= MAX_NAME_BYTES && NAME.test(name))
}

function withoutTag(localPart: string): string {
  const at = localPart.indexOf('+')
  return at > 0 ? localPart.slice(0, at) : localPart
}

/** A domain in one of its spellings. */
function domainOf({ domain, literal }: Pick<Path, 'domain' | 'literal'>, hostname: string): string {
  if (literal?.family === 'ipv4') return `[${literal.address.split('.').map(Number).join('.')}]`
  if (literal?.family === 'ipv6') return `[ipv6:${hostOf(`[${literal.address}]`)?.slice(1, -1) ?? literal.address}]`
  // What a user writes in letters of another script, Dovecot is told as A-labels by most programs.
  if (domain.length <= MAX_DOMAIN_LENGTH && /[^\x00-\x7f]/.test(domain)) return hostOf(domain) ?? domain
  return domain === '' ? hostname : domain
}

/** A host as a URL spells it: IPv6 as short as can be, names in A-labels. */
function hostOf(text: string): string | undefined {
  const url = `http://${text}/`
  return URL.canParse(url) ? new URL(url).hostname : undefined
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
  // Not in the middle of an encoded octet.
  const head = name.slice(0, HEAD_BYTES).replace(/%[0-9A-F]?$/, '')
  return `${head}%-${createHash('sha256').update(lower).digest('hex')}`
}
