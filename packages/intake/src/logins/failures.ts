/**
 * Counts failures by key, for a limited number of keys and a limited time. A full table forgets the key with the fewest
 * failures. If several have the fewest, it forgets the one that failed longest ago. So a flood of new keys removes new
 * keys, and not those with many failures.
 */

interface Entry {
  count: number
  /** The caller's clock, in milliseconds. */
  lastMs: number
}

/** Among keys with at least this many failures, the oldest is forgotten first. */
const TOP_LEVEL = 16

export class FailureTable {
  readonly #maxKeys: number
  readonly #forgetAfterMs: number
  readonly #entries = new Map<string, Entry>()
  /** The keys by their count, each set in the order of the last failure. */
  readonly #levels: readonly Set<string>[] = Array.from({ length: TOP_LEVEL + 1 }, () => new Set())

  /** @param forgetAfterMs A key is forgotten if it has not failed for this time. */
  constructor(maxKeys: number, forgetAfterMs: number) {
    this.#maxKeys = maxKeys
    this.#forgetAfterMs = forgetAfterMs
  }

  get size(): number {
    return this.#entries.size
  }

  /** Returns how often the key has failed, and when it failed last. Returns undefined if it has not failed. */
  find(key: string, nowMs: number): Readonly<Entry> | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || !this.#isOver(entry, nowMs)) return entry
    this.#delete(key, entry)
    return undefined
  }

  add(key: string, nowMs: number): void {
    let entry = this.#entries.get(key)
    if (entry !== undefined && this.#isOver(entry, nowMs)) {
      this.#delete(key, entry)
      entry = undefined
    }
    if (entry === undefined) {
      if (this.#entries.size >= this.#maxKeys) this.#evict(nowMs)
      entry = { count: 0, lastMs: nowMs }
      this.#entries.set(key, entry)
    }
    this.#levelOf(entry).delete(key)
    entry.count++
    entry.lastMs = nowMs
    this.#levelOf(entry).add(key)
  }

  /** Removes up to `count` failures of the key. */
  subtract(key: string, count: number): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    if (count >= entry.count) return this.#delete(key, entry)
    this.#levelOf(entry).delete(key)
    entry.count -= count
    this.#levelOf(entry).add(key)
  }

  #evict(nowMs: number): void {
    let victim: string | undefined
    for (const level of this.#levels) {
      const [oldest] = level
      if (oldest === undefined) continue
      victim ??= oldest
      if (!this.#isOver(this.#entries.get(oldest) as Entry, nowMs)) continue
      victim = oldest
      break
    }
    if (victim !== undefined) this.#delete(victim, this.#entries.get(victim) as Entry)
  }

  #delete(key: string, entry: Entry): void {
    this.#entries.delete(key)
    this.#levelOf(entry).delete(key)
  }

  #levelOf({ count }: Entry): Set<string> {
    return this.#levels[Math.min(count, TOP_LEVEL)] as Set<string>
  }

  #isOver({ lastMs }: Entry, nowMs: number): boolean {
    return nowMs - lastMs >= this.#forgetAfterMs
  }
}
