/**
 * A hash table in shared memory with open addressing. Strangers choose its keys. It uses a keyed hash, so that nobody
 * can choose keys that collide. The 64 bits of the hash represent the key.
 *
 * The caller holds a lock while it uses the table, and never lets it get full.
 */
import { type Hash, keyedHash } from './hash.ts'

/** The first words of an entry: its hash. The caller's own words follow. */
export const HASH_WORDS = 2

export class SharedTable {
  readonly #words: Int32Array
  readonly #hashKey: Hash
  readonly #begin: number
  readonly #stride: number
  /** The number of entries, which is a power of two, minus 1. */
  readonly #mask: number

  /**
   * @param begin The table takes all words from here on.
   * @param stride The words of an entry
   */
  constructor(words: Int32Array, hashKey: Hash, begin: number, stride: number) {
    this.#words = words
    this.#hashKey = hashKey
    this.#begin = begin
    this.#stride = stride
    this.#mask = (words.length - begin) / stride - 1
  }

  hashOf(key: string): Hash {
    const [first, second] = keyedHash(key, this.#hashKey)
    // Two zeros mark a free entry.
    return [first, second || 1]
  }

  /** Returns the index of the entry of this hash, or of the free entry for it. */
  find(hash: Hash): number {
    const words = this.#words
    for (let entry = this.#home(hash[0]); ; entry = this.#next(entry)) {
      const at = this.#at(entry)
      if (this.isFree(at) || (words[at] === hash[0] && words[at + 1] === hash[1])) return at
    }
  }

  isFree(at: number): boolean {
    return this.#words[at] === 0 && this.#words[at + 1] === 0
  }

  /** Frees an entry. Moves later entries into the gap if a search would not find them any more. */
  remove(at: number): void {
    const words = this.#words
    let gap = (at - this.#begin) / this.#stride
    for (let later = this.#next(gap); !this.isFree(this.#at(later)); later = this.#next(later)) {
      const fromHome = (later - this.#home(words[this.#at(later)] as number)) & this.#mask
      if (fromHome < ((later - gap) & this.#mask)) continue
      words.copyWithin(this.#at(gap), this.#at(later), this.#at(later) + this.#stride)
      gap = later
    }
    words.fill(0, this.#at(gap), this.#at(gap) + this.#stride)
  }

  /**
   * Frees all entries except those for which `isKept` is true. Returns how many are left. The time is proportional to
   * the size of the table.
   */
  filter(isKept: (at: number) => boolean): number {
    const words = this.#words
    const kept: Int32Array[] = []
    for (let at = this.#begin; at < words.length; at += this.#stride) {
      if (!this.isFree(at) && isKept(at)) kept.push(words.slice(at, at + this.#stride))
    }
    words.fill(0, this.#begin)
    for (const entry of kept) words.set(entry, this.find([entry[0] as number, entry[1] as number]))
    return kept.length
  }

  #home(firstWord: number): number {
    return firstWord & this.#mask
  }

  #next(entry: number): number {
    return (entry + 1) & this.#mask
  }

  #at(entry: number): number {
    return this.#begin + entry * this.#stride
  }
}
