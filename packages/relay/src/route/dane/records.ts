/** TLSA records of a host: RFC 7672 2.1 and 2.2. */
import type { Resolver, ResolveOptions, TlsaRecord } from '@postern/dns/names'

export type DaneRecords =
  /** There are none, or nobody vouches for them. */
  | { readonly status: 'none' }
  | {
      readonly status: 'found'
      /** The name that has the records. */
      readonly base: string
      /** May be empty: no record says anything that can be checked. */
      readonly usable: readonly TlsaRecord[]
      readonly texts: readonly string[]
    }
  | { readonly status: 'failed'; readonly base: string; readonly texts: readonly []; readonly detail: string }

/** DANE-TA and DANE-EE. The other two need authorities that SMTP has not agreed on, so they count as unusable (RFC 7672 3.1.3). */
const USAGES: readonly number[] = [2, 3]
/** The whole certificate, or its key. */
const SELECTORS: readonly number[] = [0, 1]
/** The octets of SHA-256 and SHA-512, by matching type. */
const DIGEST_OCTETS: Readonly<Record<number, number>> = { 1: 32, 2: 64 }
/** More are not looked at. Each is compared with each certificate. */
const MAX_RECORDS = 50
const MAX_HEX = 200

/** Looks up the records of a host. @param names The end of its CNAMEs, and the host; DNSSEC vouches for its addresses */
export async function daneOf(
  names: readonly string[],
  port: number,
  resolver: Resolver,
  options: ResolveOptions,
): Promise<DaneRecords> {
  for (const base of names) {
    const answer = await resolver.resolve(`_${port}._tcp.${base}`, 'TLSA', options)
    if (answer.status === 'failed') return { status: 'failed', base, texts: [], detail: answer.detail }
    if (answer.status !== 'found') continue
    if (!answer.isAuthentic) return { status: 'none' }
    const records = answer.records.slice(0, MAX_RECORDS)
    return { status: 'found', base, usable: records.filter(isUsable), texts: records.map(textOf) }
  }
  return { status: 'none' }
}

function isUsable({ usage, selector, matchingType, data }: TlsaRecord): boolean {
  if (!USAGES.includes(usage) || !SELECTORS.includes(selector)) return false
  return matchingType === 0 ? data.length > 0 : DIGEST_OCTETS[matchingType] === data.length
}

/** Writes a record as RFC 6698 2.2 does. */
function textOf({ usage, selector, matchingType, data }: TlsaRecord): string {
  const hex = Array.from(data, (octet) => octet.toString(16).padStart(2, '0')).join('')
  return `${usage} ${selector} ${matchingType} ${hex.length > MAX_HEX ? `${hex.slice(0, MAX_HEX)}...` : hex}`
}
