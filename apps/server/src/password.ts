/**
 * Passwords are kept as scrypt hashes in PHC string form: `$scrypt$ln=15,r=8,p=3$salt$hash`, base64 without padding.
 *
 * One check takes 32 MiB and a tenth of a second; so only a few run at a time, whoever asks, and what an attacker
 * can make the server spend is bounded. A name that is not known costs the same as a wrong password.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** A hash taken apart. */
export interface PasswordHash {
  /** log2 of scrypt's N. */
  readonly ln: number
  readonly r: number
  readonly p: number
  readonly salt: Buffer
  readonly hash: Buffer
}

/** OWASP's figures for 32 MiB: N = 2^15, r = 8, p = 3. */
const COST = { ln: 15, r: 8, p: 3 } as const
const SALT_BYTES = 16
const HASH_BYTES = 32
/** What a hash from outside may ask of this machine: 1 GiB and 16 lanes. */
const MAX_MEMORY_BYTES = 2 ** 30
const MAX_LANES = 16
const MAX_CHECKS_AT_ONCE = 4

/** Hashes a new password. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(password, { ...COST, salt, hash: Buffer.alloc(HASH_BYTES) })
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${unpadded(salt)}$${unpadded(hash)}`
}

/** Reads a hash; undefined where it is none, or would ask too much of this machine. */
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

/** Whether the password is the one that was hashed; takes the same time wherever they differ. */
export async function checkPassword(password: string, expected: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, expected), expected.hash)
}

/** Names and their hashes, as a check that tells nothing of which names there are. */
export class PasswordBook {
  readonly #hashes: ReadonlyMap<string, PasswordHash>
  /** What a name that is not known is checked against: it costs as much as the first one that is. */
  readonly #decoy: PasswordHash

  constructor(users: readonly User[]) {
    this.#hashes = new Map(users.map((user) => [user.name, user.password]))
    const like = users[0]?.password ?? { ...COST, salt: randomBytes(SALT_BYTES), hash: randomBytes(HASH_BYTES) }
    this.#decoy = { ...like, salt: randomBytes(like.salt.length), hash: randomBytes(like.hash.length) }
  }

  async knows(name: string, password: string): Promise<boolean> {
    const expected = this.#hashes.get(name)
    const isRight = await checkPassword(password, expected ?? this.#decoy)
    return isRight && expected !== undefined
  }
}

/** Someone who may send. */
export interface User {
  readonly name: string
  readonly password: PasswordHash
}

/** Reads `name:hash`; undefined where it is not that. */
export function parseUser(text: string): User | undefined {
  // A hash holds no colon, a name may.
  const at = text.lastIndexOf(':')
  const password = parsePasswordHash(text.slice(at + 1))
  return at < 1 || password === undefined ? undefined : { name: text.slice(0, at), password }
}

let running = 0
let maxAtOnce = MAX_CHECKS_AT_ONCE
const waiting: (() => void)[] = []

/** From now on this thread runs only its part of what may run at a time: at least one. */
export function shareChecks(workerCount: number): void {
  maxAtOnce = Math.ceil(MAX_CHECKS_AT_ONCE / workerCount)
}

async function derive(password: string, like: PasswordHash): Promise<Buffer> {
  if (running >= maxAtOnce) await new Promise<void>((resolve) => waiting.push(resolve))
  else running++
  try {
    return await new Promise((resolve, reject) => {
      const cost = { N: 2 ** like.ln, r: like.r, p: like.p, maxmem: memoryOf(like) }
      // RFC 8265 4.2: two ways to type the same letter are the same password.
      scrypt(password.normalize('NFC'), like.salt, like.hash.length, cost, (error, key) => {
        // null on Node, undefined on Bun
        if (error == null) resolve(key)
        else reject(error)
      })
    })
  } finally {
    // The place goes to whoever waits longest; only when nobody waits is it free.
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }
}

/** RFC 7914 2: 128 * N * r for the table, 128 * r * p for the blocks, and some room. */
function memoryOf({ ln, r, p }: Omit<PasswordHash, 'salt' | 'hash'>): number {
  return 128 * r * (2 ** ln + p + 2)
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

function decode(base64: string): Buffer {
  return Buffer.from(base64, 'base64')
}
