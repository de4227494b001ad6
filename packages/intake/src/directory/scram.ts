/** Makes SCRAM records from passwords, and compares passwords with them: RFC 5802 3, RFC 7677. By WebCrypto, so on every runtime. */
import { isSameSecret } from '@postern/engine'
import { SCRAM_ITERATIONS, type ScramRecord } from './record.ts'

const SALT_OCTETS = 16
const HASH_OCTETS = 32
/** SASLprep leaves these as they are. */
const PRINTABLE = /^[\x20-\x7e]*$/
const encoder = new TextEncoder()

/** Makes the record of a new password. @throws Error if the password has characters that SASLprep prohibits (RFC 4013) */
export async function makeScramRecord(password: string, iterations: number = SCRAM_ITERATIONS): Promise<ScramRecord> {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_OCTETS))
  return derive(await prepared(password), salt, iterations)
}

/** Returns whether the password fits the record. It compares in constant time. */
export async function fitsScram(password: string, record: ScramRecord): Promise<boolean> {
  const text = await preparedOrUndefined(password)
  // An odd password costs as much as another one.
  const { storedKey } = await derive(text ?? '', record.salt, record.iterations)
  return isSameSecret(storedKey, record.storedKey) && text !== undefined
}

/** Makes a record that no known password fits. */
export function randomScram(iterations: number = SCRAM_ITERATIONS): ScramRecord {
  const random = (octets: number): Uint8Array => crypto.getRandomValues(new Uint8Array(octets))
  return {
    kind: 'scram',
    iterations,
    salt: random(SALT_OCTETS),
    storedKey: random(HASH_OCTETS),
    serverKey: random(HASH_OCTETS),
  }
}

/**
 * Returns the password as RFC 4013 prepares it: spellings of one password become equal. Loads the library, which has large tables, only
 * for a password that is not printable ASCII. @throws Error if it has a character that is not allowed
 */
async function prepared(password: string): Promise<string> {
  if (PRINTABLE.test(password)) return password
  const { saslprep } = await import('@mongodb-js/saslprep')
  // Clients may use letters that are newer than RFC 4013, so unassigned code points are allowed.
  return saslprep(password, { allowUnassigned: true })
}

/** Returns undefined if the password has a character that is not allowed. */
export async function preparedOrUndefined(password: string): Promise<string | undefined> {
  try {
    return await prepared(password)
  } catch {
    return undefined
  }
}

async function derive(text: string, salt: Uint8Array, iterations: number): Promise<ScramRecord> {
  const password = await crypto.subtle.importKey('raw', encoder.encode(text), 'PBKDF2', false, ['deriveBits'])
  const algorithm = { name: 'PBKDF2', hash: 'SHA-256', salt: new Uint8Array(salt), iterations }
  const salted = await crypto.subtle.deriveBits(algorithm, password, HASH_OCTETS * 8)
  const key = await crypto.subtle.importKey('raw', salted, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  const sign = (words: string): Promise<ArrayBuffer> => crypto.subtle.sign('HMAC', key, encoder.encode(words))
  const [clientKey, serverKey] = await Promise.all([sign('Client Key'), sign('Server Key')])
  const storedKey = await crypto.subtle.digest('SHA-256', clientKey)
  return { kind: 'scram', iterations, salt, storedKey: new Uint8Array(storedKey), serverKey: new Uint8Array(serverKey) }
}
