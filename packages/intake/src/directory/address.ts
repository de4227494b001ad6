/** Addresses as keys: two spellings of one address have the same key. */
import { asciiDomain } from '@postern/engine'

/** `local part@domain`: the local part in lower case without quotes, the domain in ASCII. `*.example.com` stands for all below it. */
export type AddressKey = string

/** An address of an envelope. */
export interface RecipientAddress {
  /** Without quotes. */
  readonly localPart: string
  /** '' for `<postmaster>` alone. */
  readonly domain: string
}

/** RFC 5321 4.5.3.1.1 allows 64 octets; real local parts are longer sometimes. */
const MAX_LOCAL_PART = 255
const DOT_ATOM =
  /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u{a0}-\u{10ffff}]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u{a0}-\u{10ffff}]+)*$/u

/** Reads an address that a person wrote, such as `jane@example.com`, `"jane doe"@example.com` or `info@*.example.com`. */
export function parseAddress(text: string): { readonly localPart: string; readonly domain: string } | undefined {
  const at = text.lastIndexOf('@')
  const written = text.slice(0, at)
  const below = text.startsWith('*.', at + 1) ? '*.' : ''
  const ascii = asciiDomain(text.slice(at + 1 + below.length))
  const localPart = written.startsWith('"') ? unquoted(written) : written
  if (at < 1 || ascii === undefined || localPart === undefined || localPart.length > MAX_LOCAL_PART) return undefined
  if (!written.startsWith('"') && !DOT_ATOM.test(localPart)) return undefined
  return { localPart, domain: below + ascii }
}

/** @param domain In ASCII, as `asciiDomain` returns it */
export function keyOf(localPart: string, domain: string): AddressKey {
  return `${localPart.normalize('NFC').toLowerCase()}@${domain}`
}

/** Reads the name of a domain, such as `example.com` or `*.example.com`. Returns it in ASCII. */
export function parseDomainName(text: string): string | undefined {
  const isBelow = text.startsWith('*.')
  const ascii = asciiDomain(isBelow ? text.slice(2) : text)
  return ascii === undefined ? undefined : `${isBelow ? '*.' : ''}${ascii}`
}

function unquoted(quoted: string): string | undefined {
  if (!/^"(?:[^"\\\u0000-\u001f\u007f]|\\[\u0020-\u007e])+"$/.test(quoted)) return undefined
  return quoted.slice(1, -1).replaceAll(/\\(.)/gu, '$1')
}
