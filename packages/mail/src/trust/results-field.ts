/** Writes Authentication-Results (RFC 8601), and finds those of others that claim to be ours. */
import { asciiDomain } from '@postern/engine'
import { resultsIn } from './results-text.ts'
import type { Verdicts } from './verdicts.ts'

const LINE_LENGTH = 76
const LF = 10
const NAME = 'authentication-results'
const decoder = new TextDecoder('latin1')

/**
 * Returns the field with its CRLF. Everything in it is ASCII: domains, addresses of clients, and words of RFC 8601.
 * @param hostname The name of this server. It is checked already
 */
export function resultsField(hostname: string, verdicts: Verdicts): string {
  const results = resultsOf(verdicts)
  const written = results.length === 0 ? ['none'] : results
  let text = `Authentication-Results: ${hostname};`
  for (const [at, result] of written.entries()) {
    let line = '\r\n\t'
    for (const [index, word] of `${result}${at === written.length - 1 ? '' : ';'}`.split(' ').entries()) {
      if (line.length + word.length > LINE_LENGTH && index > 0) {
        text += line
        line = '\r\n\t '
      }
      line += index === 0 || line.endsWith(' ') ? word : ` ${word}`
    }
    text += line
  }
  return `${text}\r\n`
}

/** Returns what the field says behind the name of the server, on one line: `spf=pass smtp.mailfrom=example.org; dkim=none`. */
export function resultsText(verdicts: Verdicts): string {
  return resultsOf(verdicts).join('; ') || 'none'
}

function resultsOf({ iprev, spf, dkim = [], arc, dmarc, sender }: Verdicts): readonly string[] {
  const results: string[] = []
  const add = (...words: readonly (string | undefined)[]): void => {
    results.push(words.filter((word) => word !== undefined).join(' '))
  }
  const property = (name: string, value: string | undefined): string | undefined => value && `${name}=${value}`
  const reason = (text: string | undefined): string | undefined => text && `reason="${text}"`
  if (sender?.by === 'auth') add('auth=pass')
  if (iprev !== undefined) {
    const address = iprev.address.includes(':') ? `"${iprev.address}"` : iprev.address
    add(`iprev=${iprev.result}`, property('policy.iprev', address))
  }
  if (spf !== undefined) add(`spf=${spf.result}`, property(`smtp.${spf.identity}`, spf.domain))
  for (const one of dkim) {
    const { result, domain, selector, algorithm } = one
    add(
      `dkim=${result}`,
      reason(one.reason),
      property('header.d', domain),
      property('header.s', selector),
      property('header.a', algorithm),
    )
  }
  if (spf !== undefined && dkim.length === 0) add('dkim=none')
  if (arc !== undefined && (arc.result !== 'none' || arc.sets > 0)) add(`arc=${arc.result}`, reason(arc.reason))
  if (dmarc !== undefined) {
    const { result, domain, policy } = dmarc
    add(`dmarc=${result}`, reason(dmarc.reason), property('header.from', domain), property('policy.dmarc', policy))
  }
  return results
}

/** A header without fields that claim to be ours. */
export interface Cleaned {
  readonly header: Uint8Array
  /** How many fields were removed. */
  readonly removed: number
}

/**
 * Removes fields of Authentication-Results that have this server's name, because only this server may write them (RFC 8601 5).
 * @param header The bytes of the header, with or without the empty line behind it
 */
export function withoutClaims(header: Uint8Array, hostname: string): Cleaned {
  const kept: Uint8Array[] = []
  let removed = 0
  let keptFrom = 0
  for (let at = 0; at < header.length;) {
    const end = fieldEnd(header, at)
    if (isResults(header, at) && claims(decoder.decode(header.subarray(at, end)), hostname)) {
      kept.push(header.subarray(keptFrom, at))
      keptFrom = end
      removed++
    }
    at = end
  }
  if (removed === 0) return { header, removed }
  return { header: Uint8Array.from(Buffer.concat([...kept, header.subarray(keptFrom)])), removed }
}

/** Returns where a field ends, with the lines that are folded behind it. */
function fieldEnd(header: Uint8Array, start: number): number {
  for (let at = start; ;) {
    const lf = header.indexOf(LF, at)
    if (lf === -1) return header.length
    at = lf + 1
    const next = header[at]
    if (next !== 32 && next !== 9) return at
  }
}

function isResults(header: Uint8Array, at: number): boolean {
  return decoder.decode(header.subarray(at, at + NAME.length)).toLowerCase() === NAME
}

function claims(field: string, hostname: string): boolean {
  const colon = field.indexOf(':')
  if (field.slice(NAME.length, Math.max(0, colon)).trim() !== '') return false
  const value = field.slice(colon + 1).replaceAll(/[\r\n]/g, '')
  const [name] = resultsIn(value) ?? []
  // Nobody can say what a field means that ends inside of a comment.
  if (name === undefined) return true
  // The version of the field may follow the name.
  const [given = ''] = name.split(/[ \t]/)
  const own = hostname.toLowerCase()
  const latin = Buffer.from(given, 'latin1').toString()
  return given.toLowerCase() === own || asciiDomain(latin) === own || asciiDomain(latin.replace(/\.$/, '')) === own
}
