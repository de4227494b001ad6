/**
 * Tokens of fronts that were used, remembered by all workers together, so that each opens one pipe, whichever worker it comes to.
 *
 * A table in shared memory with open addressing: of each token a keyed hash of 64 bits, which stands for it, and when it expires. Only
 * who has the secret gets a token remembered, and one that is still good is never forgotten: when there are too many, a new one is
 * refused.
 */
import { PipeRefusedError, type TokenMemory } from '@postern/runtime/websocket'
import { type Hash, keyedHash } from './hash.ts'
import { SharedLock } from './lock.ts'

/** Tokens live 70 seconds, clocks that differ included, so this is some 1,400 connections a second. */
export const MAX_TOKENS = 100_000
/** A power of two, more than twice as many. */
const ENTRIES = 2 ** 18
/** The lock, how many entries are taken, the second of the last tidying, then the table. */
const LOCK = 0
const TAKEN = 1
const TIDIED = 2
const TABLE = 3
/** Of an entry: two words of the hash, then the second in which it expires. */
const STRIDE = 3
const EXPIRY = 2
/** Thousands of times what it takes. */
const LOCK_PATIENCE_MS = 1_000

/** What workers share to remember tokens. It can be sent to a thread. */
export interface TokenTable {
  readonly words: Int32Array<SharedArrayBuffer>
  readonly hashKey: Hash
  /** Seconds are counted from here, in ms since 1970. */
  readonly beginMs: number
}

/** Makes the table: 3 MiB, which the system gives as they are used. */
export function tokenTable(): TokenTable {
  const [first = 0, second = 0] = crypto.getRandomValues(new Int32Array(2))
  const byteLength = (TABLE + ENTRIES * STRIDE) * Int32Array.BYTES_PER_ELEMENT
  return { words: new Int32Array(new SharedArrayBuffer(byteLength)), hashKey: [first, second], beginMs: Date.now() }
}

/** The memory, as one worker has it. */
export class SharedTokens implements TokenMemory {
  readonly #words: Int32Array
  readonly #hashKey: Hash
  readonly #beginMs: number
  readonly #lock: SharedLock

  constructor({ words, hashKey, beginMs }: TokenTable) {
    this.#words = words
    this.#hashKey = hashKey
    this.#beginMs = beginMs
    this.#lock = new SharedLock(words, LOCK, LOCK_PATIENCE_MS)
  }

  /** @throws PipeRefusedError where there is no room to remember one more */
  add(id: string, expiresAtMs: number): boolean {
    const [first, second] = keyedHash(id, this.#hashKey)
    // Two zeros are an entry that is free.
    const hash: Hash = [first, second || 1]
    return this.#lock.run(() => this.#add(hash, Math.ceil(this.#second(expiresAtMs))))
  }

  #add(hash: Hash, expiry: number): boolean {
    const words = this.#words
    const now = Math.floor(this.#second(Date.now()))
    let at = this.#find(hash)
    if (this.#isFree(at)) {
      if ((words[TAKEN] as number) >= MAX_TOKENS) {
        this.#tidy(now)
        if ((words[TAKEN] as number) >= MAX_TOKENS)
          throw new PipeRefusedError('there are too many tokens to remember', 503)
        at = this.#find(hash)
      }
      words[TAKEN] = (words[TAKEN] as number) + 1
      words[at] = hash[0]
      words[at + 1] = hash[1]
    } else if ((words[at + EXPIRY] as number) > now) return false
    words[at + EXPIRY] = expiry
    return true
  }

  /** Frees the entries of tokens that have expired; at most once a second, because it looks at all of them. */
  #tidy(now: number): void {
    const words = this.#words
    if (words[TIDIED] === now) return
    words[TIDIED] = now
    const kept: Int32Array[] = []
    for (let at = TABLE; at < words.length; at += STRIDE) {
      if (!this.#isFree(at) && (words[at + EXPIRY] as number) > now) kept.push(words.slice(at, at + STRIDE))
    }
    words.fill(0, TABLE)
    words[TAKEN] = kept.length
    for (const entry of kept) words.set(entry, this.#find([entry[0] as number, entry[1] as number]))
  }

  /** Where the entry of this hash is, or the free one that it can have. */
  #find(hash: Hash): number {
    const words = this.#words
    for (let entry = hash[0] & (ENTRIES - 1); ; entry = (entry + 1) & (ENTRIES - 1)) {
      const at = TABLE + entry * STRIDE
      if (this.#isFree(at) || (words[at] === hash[0] && words[at + 1] === hash[1])) return at
    }
  }

  #isFree(at: number): boolean {
    return this.#words[at] === 0 && this.#words[at + 1] === 0
  }

  #second(ms: number): number {
    return (ms - this.#beginMs) / 1_000
  }
}
