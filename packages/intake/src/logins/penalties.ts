/**
 * Computes delays after failed logins. A failure delays the next logins from the same address, and to the same account.
 * The server remembers it after the connection has ended.
 *
 * An address waits twice as long after each failure. An account waits too, but never long: its failures may come from a
 * stranger, and a stranger must not lock out the owner. A client that has logged in before from the same address does
 * not wait at all, until a login of this pair of address and account fails.
 *
 * {@link MAX_KEYS} bounds the memory. The table stores only a keyed hash of an account name.
 */
import { createHmac, randomBytes } from 'node:crypto'
import type { Login } from '../login-answer.ts'
import { FailureTable } from './failures.ts'

/** The keys under which the failures of a login are counted. */
export interface LoginKeys {
  /** The address, or the account if there is no address. Its logins wait in one line, and its failures delay them. */
  readonly payer: string
  readonly address: string
  readonly account: string
  readonly pair: string
}

/** How long a login has to wait, and how urgent it is. */
export interface Standing {
  /** 0 if the account logged in before from this address, 1 if the address has no failures, 2 if it has some. */
  readonly rank: 0 | 1 | 2
  /** When the payer may try next, in milliseconds of the caller's clock. */
  readonly readyAtMs: number
  /** How long the payer waits between two tries now. */
  readonly delayMs: number
  /** How long this login waits because of failures of its account. */
  readonly accountDelayMs: number
}

/** Each of the four tables has at most this many. */
export const MAX_KEYS = 8_192
const FORGET_AFTER_MS = 3_600_000
const FIRST_DELAY_MS = 250
const MAX_DELAY_MS = 30_000
const MAX_ACCOUNT_DELAY_MS = 500

const TRUSTED: Standing = { rank: 0, readyAtMs: 0, delayMs: 0, accountDelayMs: 0 }

export class Penalties {
  readonly #hashKey = randomBytes(32)
  readonly #byPayer: FailureTable
  readonly #byAccount: FailureTable
  readonly #byPair: FailureTable
  /** Pairs that logged in, the latest last. Only a right password adds one, so strangers can't remove others. */
  readonly #trusted = new Set<string>()
  readonly #maxKeys: number

  constructor(maxKeys: number = MAX_KEYS) {
    this.#maxKeys = maxKeys
    this.#byPayer = new FailureTable(maxKeys, FORGET_AFTER_MS)
    this.#byAccount = new FailureTable(maxKeys, FORGET_AFTER_MS)
    this.#byPair = new FailureTable(maxKeys, FORGET_AFTER_MS)
  }

  keysOf({ address, account: name }: Login): LoginKeys {
    // A backend may ignore case, so names that differ only in case count as one account.
    const folded = name.normalize('NFKC').toLowerCase()
    const account = createHmac('sha256', this.#hashKey).update(folded).digest('base64')
    return { payer: address === '' ? account : address, address, account, pair: `${address} ${account}` }
  }

  standing({ payer, account, pair }: LoginKeys, nowMs: number): Standing {
    if (this.#trusted.has(pair)) return TRUSTED
    const ofPayer = this.#byPayer.find(payer, nowMs)
    const ofAccount = this.#byAccount.find(account, nowMs)
    const delayMs = delayAfter(ofPayer?.count ?? 0, MAX_DELAY_MS)
    return {
      rank: ofPayer === undefined ? 1 : 2,
      readyAtMs: (ofPayer?.lastMs ?? -Infinity) + delayMs,
      delayMs,
      accountDelayMs: delayAfter(ofAccount?.count ?? 0, MAX_ACCOUNT_DELAY_MS),
    }
  }

  failed({ payer, account, pair }: LoginKeys, nowMs: number): void {
    this.#trusted.delete(pair)
    this.#byPayer.add(payer, nowMs)
    this.#byAccount.add(account, nowMs)
    this.#byPair.add(pair, nowMs)
  }

  /** Removes the failures that this pair has added to its address and its account. Failures of other pairs stay. */
  succeeded({ payer, account, pair }: LoginKeys, nowMs: number): void {
    const ownFailures = this.#byPair.find(pair, nowMs)?.count ?? 0
    if (ownFailures > 0) {
      this.#byPair.subtract(pair, ownFailures)
      this.#byPayer.subtract(payer, ownFailures)
      this.#byAccount.subtract(account, ownFailures)
    }
    this.#trusted.delete(pair)
    this.#trusted.add(pair)
    if (this.#trusted.size <= this.#maxKeys) return
    for (const oldest of this.#trusted) {
      this.#trusted.delete(oldest)
      break
    }
  }
}

function delayAfter(failures: number, maxMs: number): number {
  return failures === 0 ? 0 : Math.min(maxMs, FIRST_DELAY_MS * 2 ** (failures - 1))
}
