/**
 * Makes, reads and checks password hashes: scrypt in PHC string form, `$scrypt$ln=15,r=8,p=3$salt$hash`, base64 without padding.
 *
 * One check takes 32 MiB and a tenth of a second. logins.ts decides when it runs.
 */
import { randomBytes, scrypt, scryptSync, timingSafeEqual } from 'node:crypto'

/** The parts of a hash. It can be sent to a thread. */
export interface PasswordHash {
  /** log2 of scrypt's N. */
  readonly ln: number
  readonly r: number
  readonly p: number
  readonly salt: Uint8Array
  readonly hash: Uint8Array
}

/** A password, and the hash to compare it with. It can be sent to a thread. */
export interface PasswordCheck {
  readonly password: string
  readonly expected: PasswordHash
}

/** OWASP's figures for 32 MiB: N = 2^15, r = 8, p = 3. */
const COST = { ln: 15, r: 8, p: 3 } as const
const SALT_BYTES = 16
const HASH_BYTES = 32
/** Bounds for hashes that the user made: 1 GiB and 16 lanes. */
const MAX_MEMORY_BYTES = 2 ** 30
const MAX_LANES = 16

/** Hashes a new password. */
export async function hashPassword(password: string): Promise<string> {
  const { salt, hash } = randomHash()
  const derived = await derive(password, { ...COST, salt, hash })
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${unpadded(salt)}$${unpadded(derived)}`
}

/** Reads a hash. Returns undefined if it is not one, or if a check would take too much memory or time. */
export function parsePasswordHash(text: string): PasswordHash | undefined {
  const parts = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z\d+/]{11,86})\$([A-Za-z\d+/]{22,86})$/.exec(
    text,
  )
  if (parts === null) return undefined
  const [, ln = '', r = '', p = '', salt = '', hash = ''] = parts
  const parsed = { ln: Number(ln), r: Number(r), p: Number(p), salt: decode(salt), hash: decode(hash) }
  if (parsed.ln < 1 || parsed.r < 1 || parsed.p < 1) return undefined
  return memoryOf(parsed) > MAX_MEMORY_BYTES || parsed.p > MAX_LANES ? undefined : parsed
}

/** Makes a random hash that no known password fits. A check of it costs as much as one of `like`. */
export function randomHash(like?: PasswordHash): PasswordHash {
  const salt = new Uint8Array(randomBytes(like?.salt.length ?? SALT_BYTES))
  const hash = new Uint8Array(randomBytes(like?.hash.length ?? HASH_BYTES))
  return { ...(like ?? COST), salt, hash }
}

/** Returns whether the password fits the hash. It compares in constant time, and blocks its thread. */
export function checkPassword({ password, expected }: PasswordCheck): boolean {
  const { salt, hash } = expected
  return timingSafeEqual(scryptSync(normalised(password), salt, hash.length, costOf(expected)), hash)
}

/** Does the same in the runtime's own thread pool, which also serves file calls. */
export async function checkPasswordInPool({ password, expected }: PasswordCheck): Promise<boolean> {
  return timingSafeEqual(await derive(password, expected), expected.hash)
}

function derive(password: string, like: PasswordHash): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    scrypt(normalised(password), like.salt, like.hash.length, costOf(like), (error, key) => {
      // null on Node, undefined on Bun
      if (error == null) resolve(key)
      else reject(error)
    })
  })
}

/** RFC 8265 4.2: a letter may be typed in two ways, and both give the same password. */
function normalised(password: string): string {
  return password.normalize('NFC')
}

function costOf(like: PasswordHash): { N: number; r: number; p: number; maxmem: number } {
  return { N: 2 ** like.ln, r: like.r, p: like.p, maxmem: memoryOf(like) }
}

/** RFC 7914 2: 128 * N * r for the table, 128 * r * p for the blocks, and some reserve. */
function memoryOf({ ln, r, p }: Omit<PasswordHash, 'salt' | 'hash'>): number {
  return 128 * r * (2 ** ln + p + 2)
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '')
}

/** Copies the bytes. Otherwise Node would send its whole buffer pool to the thread. */
function decode(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'))
}
