/**
 * A lock between threads, for what takes microseconds.
 *
 * A thread that is ended inside can't give it back. So whoever has waited for longer than anybody may hold it takes it over.
 */

const FREE = 0
/** Looks before the first sleep: who holds it is most likely done by then. */
const LOOKS = 100
const SLEEP_MS = 1

export class SharedLock {
  readonly #words: Int32Array
  readonly #at: number
  readonly #patienceMs: number

  /** @param words Shared memory; `at` is the lock's place in it. @param patienceMs How long it may be held at the most. */
  constructor(words: Int32Array, at: number, patienceMs: number) {
    this.#words = words
    this.#at = at
    this.#patienceMs = patienceMs
  }

  /** Runs this, while no other thread runs something in here. */
  run<T>(work: () => T): T {
    const ticket = this.#take()
    try {
      return work()
    } finally {
      // Not where another has taken it over.
      Atomics.compareExchange(this.#words, this.#at, ticket, FREE)
    }
  }

  #take(): number {
    const words = this.#words
    const at = this.#at
    // Each holding has a number of its own, so that a second holder in a row is not taken for one that never left.
    const ticket = Math.floor(Math.random() * 0x7fff_fffe) + 1
    let seen = FREE
    let sinceMs = 0
    for (let looks = 0; ; looks++) {
      const holder = Atomics.compareExchange(words, at, FREE, ticket)
      if (holder === FREE) return ticket
      if (looks < LOOKS) continue
      if (holder !== seen) {
        seen = holder
        sinceMs = performance.now()
      } else if (performance.now() - sinceMs > this.#patienceMs) {
        if (Atomics.compareExchange(words, at, holder, ticket) === holder) return ticket
      }
      Atomics.wait(words, at, holder, SLEEP_MS)
    }
  }
}
