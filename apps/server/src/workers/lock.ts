/**
 * A lock between threads, for work that takes microseconds. If a thread is killed while it holds the lock, it cannot
 * release it. So another thread takes the lock over after it has waited longer than any thread may hold it.
 */

const FREE = 0
/** The number of tries before the first sleep. The holder has probably finished by then. */
const LOOKS = 100
const SLEEP_MS = 1

export class SharedLock {
  readonly #words: Int32Array
  readonly #at: number
  readonly #patienceMs: number

  /** @param words Shared memory; `at` is the index of the lock. @param patienceMs How long a thread may hold the lock */
  constructor(words: Int32Array, at: number, patienceMs: number) {
    this.#words = words
    this.#at = at
    this.#patienceMs = patienceMs
  }

  /** Runs `work` while this thread holds the lock. */
  run<T>(work: () => T): T {
    const ticket = this.#take()
    try {
      return work()
    } finally {
      // Does nothing if another thread has taken the lock over.
      Atomics.compareExchange(this.#words, this.#at, ticket, FREE)
    }
  }

  #take(): number {
    const words = this.#words
    const at = this.#at
    // Each holder has its own number. So two short holders in a row do not look like one that holds the lock too long.
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
