/**
 * Remembers used tokens of fronts for all workers together, so that each token opens only one pipe in any worker.
 *
 * Each token has a table entry with its time of expiry. Only tokens with a valid signature are stored. A valid token is
 * never forgotten: if the table is full, a new one is refused.
 */
import { PipeRefusedError, type TokenMemory } from '@postern/runtime/websocket'
import { type Hash, randomKey } from './hash.ts'
import { SharedLock } from './lock.ts'
import { HASH_WORDS, SharedTable } from './table.ts'

/** Tokens are valid for 70 seconds, including tolerance for clocks. So this allows about 1,400 connections a second. */
export const MAX_TOKENS = 100_000
/** A power of two, more than twice `MAX_TOKENS`. */
const ENTRIES = 2 ** 18
/** The words are: the lock, the number of entries in use, the second of the last tidying, the table. */
const LOCK = 0
const TAKEN = 1
const TIDIED = 2
const TABLE = 3
/** The last word of an entry is the second of its expiry. */
const EXPIRY = HASH_WORDS
const STRIDE = HASH_WORDS + 1
/** Much longer than any thread normally holds the lock. */
const LOCK_PATIENCE_MS = 1_000

/** What workers share to remember tokens. It can be sent to a thread. */
export interface TokenTable {
  readonly words: Int32Array<SharedArrayBuffer>
  readonly hashKey: Hash
  /** Seconds are counted from here, in ms since 1970. */
  readonly beginMs: number
}

/** Makes the table: 3 MiB. The system allocates them when they are used. */
export function tokenTable(): TokenTable {
  const byteLength = (TABLE + ENTRIES * STRIDE) * Int32Array.BYTES_PER_ELEMENT
  return { words: new Int32Array(new SharedArrayBuffer(byteLength)), hashKey: randomKey(), beginMs: Date.now() }
}

/** The memory of tokens in one worker. */
export class SharedTokens implements TokenMemory {
  readonly #words: Int32Array
  readonly #table: SharedTable
  readonly #beginMs: number
  readonly #lock: SharedLock

  constructor({ words, hashKey, beginMs }: TokenTable) {
    this.#words = words
    this.#table = new SharedTable(words, hashKey, TABLE, STRIDE)
    this.#beginMs = beginMs
    this.#lock = new SharedLock(words, LOCK, LOCK_PATIENCE_MS)
  }

  /** Adds a token. Returns false if it was used before. @throws PipeRefusedError if the table is full */
  add(id: string, expiresAtMs: number): boolean {
    const hash = this.#table.hashOf(id)
    return this.#lock.run(() => this.#add(hash, Math.ceil(this.#second(expiresAtMs))))
  }

  #add(hash: Hash, expiry: number): boolean {
    const words = this.#words
    const now = Math.floor(this.#second(Date.now()))
    let at = this.#table.find(hash)
    if (this.#table.isFree(at)) {
      if ((words[TAKEN] as number) >= MAX_TOKENS) {
        this.#tidy(now)
        if ((words[TAKEN] as number) >= MAX_TOKENS)
          throw new PipeRefusedError('there are too many tokens to remember', 503)
        at = this.#table.find(hash)
      }
      words[TAKEN] = (words[TAKEN] as number) + 1
      words[at] = hash[0]
      words[at + 1] = hash[1]
    } else if ((words[at + EXPIRY] as number) > now) return false
    words[at + EXPIRY] = expiry
    return true
  }

  /** Frees the entries of expired tokens. It does so at most once a second, because it reads the whole table. */
  #tidy(now: number): void {
    const words = this.#words
    if (words[TIDIED] === now) return
    words[TIDIED] = now
    words[TAKEN] = this.#table.filter((at) => (words[at + EXPIRY] as number) > now)
  }

  #second(ms: number): number {
    return (ms - this.#beginMs) / 1_000
  }
}
