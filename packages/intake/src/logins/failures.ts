/**
 * Counts failures by a key, for so many keys and for so long.
 *
 * A full table forgets the key with the fewest failures, and of those the one that failed longest ago. So a flood of new keys
 * pushes out new keys, not those that guess most.
 */

interface Entry {
  count: number
  /** On the caller's clock. */
  lastMs: number
}

/** From so many failures on, keys are pushed out by age alone. */
const TOP_LEVEL = 16

export class FailureTable {
  readonly #maxKeys: number
  readonly #forgetAfterMs: number
  readonly #entries = new Map<string, Entry>()
  /** By count: keys in the order of their last failure. */
  readonly #levels: readonly Set<string>[] = Array.from({ length: TOP_LEVEL + 1 }, () => new Set())

  /** @param forgetAfterMs A key that has not failed for so long is forgotten. */
  constructor(maxKeys: number, forgetAfterMs: number) {
    this.#maxKeys = maxKeys
    this.#forgetAfterMs = forgetAfterMs
  }

  get size(): number {
    return this.#entries.size
  }

  /** Returns how often the key has failed, and when it last did; undefined where it has not. */
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

  /** Takes failures back, at the most all of them. */
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
