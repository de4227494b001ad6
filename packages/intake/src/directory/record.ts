/**
 * Password records: what is stored in place of a password. Three forms are read:
 *
 * - `SCRAM-SHA-256$iterations:salt$stored:server` (base64), the form that PostgreSQL uses too. It serves PLAIN, LOGIN and SCRAM.
 * - `$scrypt$ln=15,r=8,p=3$salt$hash` (base64 without padding), for PLAIN and LOGIN.
 * - `$2b$12$…` (bcrypt), for PLAIN and LOGIN.
 */
import type { ScramKeys } from '@postern/engine'

/** It can be sent to a thread. */
export type PasswordRecord = ScramRecord | ScryptRecord | BcryptRecord

/** A password, and the record to compare it with. It can be sent to a thread. */
export interface PasswordCheck {
  readonly password: string
  readonly expected: PasswordRecord
}

export interface ScramRecord extends Omit<ScramKeys, 'user'> {
  readonly kind: 'scram'
}

export interface ScryptRecord {
  readonly kind: 'scrypt'
  /** log2 of scrypt's N. */
  readonly ln: number
  readonly r: number
  readonly p: number
  readonly salt: Uint8Array
  readonly hash: Uint8Array
}

export interface BcryptRecord {
  readonly kind: 'bcrypt'
  readonly text: string
}

export const PASSWORD_ALLOWED =
  'SCRAM-SHA-256$…, $scrypt$… or $2b$…, as `postern hash` and `postern user` make it, or bcrypt'

/** Cloudflare's network refuses PBKDF2 with more iterations. */
export const SCRAM_ITERATIONS = 100_000
/** RFC 7677 4 wants 4,096 at least. */
export const MIN_ITERATIONS = 4096
/** A check with more iterations would take seconds. */
export const MAX_ITERATIONS = 10_000_000
/** Bounds for hashes that the user made: 1 GiB and 16 lanes. */
const MAX_MEMORY_BYTES = 2 ** 30
const MAX_LANES = 16
/** A check of cost 16 takes 10 seconds and more. */
const MAX_BCRYPT_COST = 16
/** The hash begins there: behind the cost and the salt. */
const BCRYPT_HASH_AT = 29
const BCRYPT_ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

const SCRAM = /^SCRAM-SHA-256\$(\d{1,8}):([A-Za-z\d+/]{1,342}={0,2})\$([A-Za-z\d+/]{43}=):([A-Za-z\d+/]{43}=)$/
const SCRYPT = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z\d+/]{11,86})\$([A-Za-z\d+/]{22,86})$/
const BCRYPT = /^\$2[aby]\$(\d\d)\$[A-Za-z\d./]{53}$/

/** Reads a record. Returns undefined if it is not one, or if a check would take too much memory or time. */
export function parsePassword(text: string): PasswordRecord | undefined {
  return parseScram(text) ?? parseScrypt(text) ?? parseBcrypt(text)
}

export function formatScram({ iterations, salt, storedKey, serverKey }: ScramRecord): string {
  return `SCRAM-SHA-256$${iterations}:${encode(salt)}$${encode(storedKey)}:${encode(serverKey)}`
}

/** Returns the memory of a check in bytes. RFC 7914 2: 128 * N * r for the table, 128 * r * p for the blocks, and some reserve. */
export function memoryOf({ ln, r, p }: Pick<ScryptRecord, 'ln' | 'r' | 'p'>): number {
  return 128 * r * (2 ** ln + p + 2)
}

/** Returns a record that costs as much as this one, and that no known password fits. */
export function decoyOf(record: PasswordRecord): PasswordRecord {
  const random = (octets: Uint8Array): Uint8Array => crypto.getRandomValues(new Uint8Array(octets.length))
  switch (record.kind) {
    case 'scram': {
      const { salt, storedKey, serverKey } = record
      return { ...record, salt: random(salt), storedKey: random(storedKey), serverKey: random(serverKey) }
    }
    case 'scrypt':
      return { ...record, salt: random(record.salt), hash: random(record.hash) }
    case 'bcrypt':
      return {
        kind: 'bcrypt',
        text: record.text.slice(0, BCRYPT_HASH_AT) + randomBcrypt(record.text.length - BCRYPT_HASH_AT),
      }
  }
}

function randomBcrypt(length: number): string {
  const random = crypto.getRandomValues(new Uint8Array(length))
  return Array.from(random, (octet) => BCRYPT_ALPHABET[octet & 63]).join('')
}

function parseScram(text: string): ScramRecord | undefined {
  const [, count = '', ...parts] = SCRAM.exec(text) ?? []
  const [salt, storedKey, serverKey] = parts.map(decode)
  const iterations = Number(count)
  if (salt === undefined || storedKey === undefined || serverKey === undefined) return undefined
  if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS) return undefined
  return { kind: 'scram', iterations, salt, storedKey, serverKey }
}

function parseScrypt(text: string): ScryptRecord | undefined {
  const [, ln = '', r = '', p = '', ...parts] = SCRYPT.exec(text) ?? []
  const [salt, hash] = parts.map(decode)
  if (salt === undefined || hash === undefined) return undefined
  const record: ScryptRecord = { kind: 'scrypt', ln: Number(ln), r: Number(r), p: Number(p), salt, hash }
  if (record.ln < 1 || record.r < 1 || record.p < 1) return undefined
  return memoryOf(record) > MAX_MEMORY_BYTES || record.p > MAX_LANES ? undefined : record
}

function parseBcrypt(text: string): BcryptRecord | undefined {
  const cost = Number(BCRYPT.exec(text)?.[1])
  return cost >= 4 && cost <= MAX_BCRYPT_COST ? { kind: 'bcrypt', text } : undefined
}

/** Decodes base64, with or without padding. Returns undefined if it is malformed. */
function decode(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (octet) => octet.charCodeAt(0))
  } catch {
    return undefined
  }
}

function encode(octets: Uint8Array): string {
  return btoa(String.fromCharCode(...octets))
}
