/**
 * SRS: the Sender Rewriting Scheme, so that forwarded mail passes SPF and its bounces come back.
 *
 * `jane@example.org` becomes `SRS0=HASH=DAY=example.org=jane@ours.example`. An address that another forwarder has rewritten becomes
 * `SRS1=HASH=forwarder.example==HASH=DAY=…`, whose bounce goes to that forwarder. The hash is ours, so nobody else can make an
 * address that leads mail through us.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { asciiDomain } from '@postern/engine'

export interface SrsOptions {
  /** The domain of rewritten addresses. Its MX must be this server. */
  readonly domain: string
  /** The first one signs. All are accepted, so that a secret can be replaced. Each has at least 16 characters. */
  readonly secrets: readonly string[]
  /** How long a bounce is accepted. Default 21, at most 365. */
  readonly maxAgeDays?: number
}

export type Reversed =
  | { readonly status: 'reversed'; readonly address: string }
  /** `not-srs`: it is an ordinary address. `forged`: the hash is not ours. `old`: it was rewritten too long ago. */
  | { readonly status: 'not-srs' | 'forged' | 'old' }

export interface Srs {
  /**
   * Rewrites the reverse-path of a forwarded message. The null reverse-path, an address of our own domain and an address without a domain stay
   * as they are.
   * @param nowMs Default: now
   */
  forward(address: string, nowMs?: number): string
  /** Returns whom a bounce goes to. Letter case of the whole address does not matter, because some MTAs change it. */
  reverse(address: string, nowMs?: number): Reversed
}

const DAY_MS = 86_400_000
/** The day is written as two digits of base 32, as other programs write it. */
const DAYS = 1024
const MAX_AGE_DAYS = 365
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
/** 30 bits. RFC 5321 4.5.3.1.1 promises only 64 octets for the whole local part. */
const HASH_DIGITS = 6
const MIN_SECRET_LENGTH = 16
const DOT_ATOM = /^[\w!#$%&'*+\-/=?^`{|}~.\u{a0}-\u{10ffff}]+$/u

/** @throws TypeError */
export function createSrs({ domain, secrets, maxAgeDays = 21 }: SrsOptions): Srs {
  const own = asciiDomain(domain)
  if (own === undefined) throw new TypeError(`domain: ${JSON.stringify(domain)} is not a domain`)
  const [signing] = secrets
  if (signing === undefined || secrets.some(({ length }) => length < MIN_SECRET_LENGTH)) {
    throw new TypeError(`secrets: each needs at least ${MIN_SECRET_LENGTH} characters, and there must be one`)
  }
  if (!Number.isInteger(maxAgeDays) || maxAgeDays < 1 || maxAgeDays > MAX_AGE_DAYS) {
    throw new TypeError(`maxAgeDays: ${maxAgeDays} is not a whole number from 1 to ${MAX_AGE_DAYS}`)
  }
  const isOurs = (hash: string, signed: readonly string[]): boolean =>
    secrets.some((secret) => isSame(hash.toUpperCase(), hashOf(secret, signed)))

  return {
    forward(address, nowMs = Date.now()) {
      const mailbox = split(address)
      if (mailbox === undefined || asciiDomain(mailbox.domain) === own) return address
      const { localPart, domain: theirs } = mailbox
      const first = /^SRS0[=+-]/i.test(localPart) ? localPart.slice(4) : undefined
      const second = /^SRS1[=+-]/i.test(localPart) ? partsOf(localPart.slice(5), 3) : undefined
      if (first !== undefined) {
        const hash = hashOf(signing, ['1', theirs, first])
        return join(`SRS1=${hash}=${theirs}=${first}`, own)
      }
      // The first forwarder stays in the address, and those between are left out.
      if (second !== undefined) {
        const [, forwarder = '', rest = ''] = second
        const hash = hashOf(signing, ['1', forwarder, rest])
        return join(`SRS1=${hash}=${forwarder}=${rest}`, own)
      }
      const day = dayOf(nowMs)
      const hash = hashOf(signing, ['0', day, theirs, localPart])
      return join(`SRS0=${hash}=${day}=${theirs}=${localPart}`, own)
    },

    reverse(address, nowMs = Date.now()) {
      const mailbox = split(address)
      if (mailbox === undefined || asciiDomain(mailbox.domain) !== own) return { status: 'not-srs' }
      const { localPart } = mailbox
      if (/^SRS1[=+-]/i.test(localPart)) {
        const [hash, forwarder = '', rest = ''] = partsOf(localPart.slice(5), 3) ?? []
        if (hash === undefined || !isOurs(hash, ['1', forwarder, rest])) return { status: 'forged' }
        return { status: 'reversed', address: join(`SRS0${rest}`, forwarder) }
      }
      if (!/^SRS0[=+-]/i.test(localPart)) return { status: 'not-srs' }
      const [hash, day = '', theirs = '', local = ''] = partsOf(localPart.slice(5), 4) ?? []
      if (hash === undefined || !isOurs(hash, ['0', day, theirs, local])) return { status: 'forged' }
      // Checked behind the hash, so that a stranger learns nothing of it.
      if (ageOf(day, nowMs) > maxAgeDays) return { status: 'old' }
      return { status: 'reversed', address: join(local, theirs) }
    },
  }
}

function split(address: string): { readonly localPart: string; readonly domain: string } | undefined {
  const at = address.lastIndexOf('@')
  if (at < 1) return undefined
  const written = address.slice(0, at)
  const isQuoted = written.startsWith('"') && written.endsWith('"') && written.length > 1
  const localPart = isQuoted ? written.slice(1, -1).replaceAll(/\\(.)/gsu, '$1') : written
  return { localPart, domain: address.slice(at + 1) }
}

function join(localPart: string, domain: string): string {
  const needsQuotes = !DOT_ATOM.test(localPart) || localPart.split('.').includes('')
  return `${needsQuotes ? `"${localPart.replaceAll(/["\\]/g, '\\$&')}"` : localPart}@${domain}`
}

/** Divides a text at its first `=`. The last part may have more of them. */
function partsOf(text: string, count: number): string[] | undefined {
  const parts = text.split('=')
  if (parts.length < count) return undefined
  return [...parts.slice(0, count - 1), parts.slice(count - 1).join('=')]
}

/** Returns the hash of these parts in any letter case. A length in front of each part keeps it apart from the next one. */
function hashOf(secret: string, parts: readonly string[]): string {
  const hmac = createHmac('sha256', secret)
  for (const part of parts.map((one) => one.toLowerCase())) hmac.update(`${part.length}:${part}`)
  const octets = hmac.digest()
  return Array.from({ length: HASH_DIGITS }, (_, at) => DIGITS.charAt((octets[at] ?? 0) % DIGITS.length)).join('')
}

function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function dayOf(nowMs: number): string {
  const day = Math.floor(nowMs / DAY_MS) % DAYS
  return DIGITS.charAt(day >> 5) + DIGITS.charAt(day & 31)
}

/** Returns how many days ago an address was rewritten. A day ahead of us is that of a clock ahead of ours. */
function ageOf(day: string, nowMs: number): number {
  const [high = -1, low = -1] = [...day.toUpperCase()].map((digit) => DIGITS.indexOf(digit))
  if (day.length !== 2 || high < 0 || low < 0) return Infinity
  const age = (Math.floor(nowMs / DAY_MS) - (high * 32 + low)) % DAYS
  return age === DAYS - 1 ? 0 : age
}
