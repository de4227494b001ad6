/** Password hashes of any cost. */
import { scryptSync } from 'node:crypto'
import { randomHash, type ScryptRecord } from '../src/accounts/password.ts'

export type Cost = Pick<ScryptRecord, 'ln' | 'r' | 'p'>

/** A hash that costs next to nothing. */
export const CHEAP: Cost = { ln: 4, r: 8, p: 1 }

export function hashed(password: string, { ln, r, p }: Cost): ScryptRecord {
  const { salt } = randomHash()
  return { kind: 'scrypt', ln, r, p, salt, hash: scryptSync(password, salt, 32, { N: 2 ** ln, r, p, maxmem: 2 ** 30 }) }
}

/** The same as a value of `--users`. */
export function user(name: string, password: string, cost: Cost): string {
  const { salt, hash } = hashed(password, cost)
  const [saltText, hashText] = [salt, hash].map((bytes) => Buffer.from(bytes).toString('base64').replace(/=+$/, ''))
  return `${name}:$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${saltText}$${hashText}`
}
