/**
 * Makes and checks password records with `node:crypto`. One check of scrypt takes 32 MiB and a tenth of a second. logins.ts decides
 * when it runs.
 */
import {
  pbkdf2,
  pbkdf2Sync,
  createHash,
  createHmac,
  randomBytes,
  scrypt,
  scryptSync,
  timingSafeEqual,
} from 'node:crypto'
import {
  type BcryptRecord,
  memoryOf,
  parsePassword,
  type PasswordCheck,
  type ScramRecord,
  type ScryptRecord,
} from '../directory/record.ts'
import { preparedOrUndefined } from '../directory/scram.ts'

export type { PasswordCheck, PasswordRecord, ScryptRecord } from '../directory/record.ts'

/** OWASP's figures for 32 MiB: N = 2^15, r = 8, p = 3. */
const COST = { ln: 15, r: 8, p: 3 } as const
const SALT_BYTES = 16
const HASH_BYTES = 32

/** Hashes a new password with scrypt. */
export async function hashPassword(password: string): Promise<string> {
  const { salt, hash } = randomHash()
  const derived = await derive(password, { kind: 'scrypt', ...COST, salt, hash })
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${unpadded(salt)}$${unpadded(derived)}`
}

/** Reads a hash of scrypt. Returns undefined if it is not one, or if a check would take too much memory or time. */
export function parsePasswordHash(text: string): ScryptRecord | undefined {
  const record = parsePassword(text)
  return record?.kind === 'scrypt' ? record : undefined
}

/** Makes a random hash that no known password fits. A check of it costs as much as one of `like`. */
export function randomHash(like?: ScryptRecord): ScryptRecord {
  const salt = new Uint8Array(randomBytes(like?.salt.length ?? SALT_BYTES))
  const hash = new Uint8Array(randomBytes(like?.hash.length ?? HASH_BYTES))
  return { kind: 'scrypt', ...(like ?? COST), salt, hash }
}

/** Returns whether the password fits the record. It compares in constant time. For all but bcrypt it blocks its thread. */
export function checkPassword({ password, expected }: PasswordCheck): boolean | Promise<boolean> {
  switch (expected.kind) {
    case 'scrypt': {
      const { salt, hash } = expected
      return timingSafeEqual(scryptSync(normalised(password), salt, hash.length, costOf(expected)), hash)
    }
    case 'scram':
      return fitsScram(password, expected)
    case 'bcrypt':
      return fitsBcrypt(password, expected)
  }
}

async function fitsScram(password: string, record: ScramRecord): Promise<boolean> {
  const text = await preparedOrUndefined(password)
  const salted = pbkdf2Sync(text ?? '', record.salt, record.iterations, HASH_BYTES, 'sha256')
  return text !== undefined && fits(salted, record)
}

/** Does the same in the runtime's own thread pool, which also serves file calls. */
export async function checkPasswordInPool({ password, expected }: PasswordCheck): Promise<boolean> {
  switch (expected.kind) {
    case 'scrypt':
      return timingSafeEqual(await derive(password, expected), expected.hash)
    case 'scram': {
      const text = await preparedOrUndefined(password)
      const salted = await settled<Buffer>((done) =>
        pbkdf2(text ?? '', expected.salt, expected.iterations, HASH_BYTES, 'sha256', done),
      )
      return text !== undefined && fits(salted, expected)
    }
    case 'bcrypt':
      return fitsBcrypt(password, expected)
  }
}

/** Returns whether a salted password belongs to the record (RFC 5802 3). */
function fits(salted: Uint8Array, { storedKey }: ScramRecord): boolean {
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  return timingSafeEqual(createHash('sha256').update(clientKey).digest(), storedKey)
}

/** Loads the library at the first check, because few servers have such records. */
async function fitsBcrypt(password: string, { text }: BcryptRecord): Promise<boolean> {
  const { default: bcrypt } = await import('bcryptjs')
  return bcrypt.compare(password, text)
}

function derive(password: string, like: ScryptRecord): Promise<Uint8Array> {
  return settled<Buffer>((done) => scrypt(normalised(password), like.salt, like.hash.length, costOf(like), done))
}

function settled<T>(call: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => {
      // null on Node, undefined on Bun
      if (error == null) resolve(value)
      else reject(error)
    })
  })
}

/** RFC 8265 4.2: a letter may be typed in two ways, and both give the same password. */
function normalised(password: string): string {
  return password.normalize('NFC')
}

function costOf(like: ScryptRecord): { N: number; r: number; p: number; maxmem: number } {
  return { N: 2 ** like.ln, r: like.r, p: like.p, maxmem: memoryOf(like) }
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '')
}
