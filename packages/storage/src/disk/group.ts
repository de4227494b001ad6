interface Waiter<T> {
  resolve(result: T): void
  reject(error: unknown): void
}

/** Shares work among callers. One run at a time is made, and a run counts for all callers that joined before it began. */
export class Group<T> {
  readonly #work: () => Promise<T>
  readonly #idle: () => void
  #waiters: Waiter<T>[] = []
  #running = false

  /** @param idle Called when no caller waits any more */
  constructor(work: () => Promise<T>, idle: () => void = () => undefined) {
    this.#work = work
    this.#idle = idle
  }

  join(): Promise<T> {
    const joined = new Promise<T>((resolve, reject) => this.#waiters.push({ resolve, reject }))
    if (!this.#running) void this.#run()
    return joined
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiters.length > 0) {
      const batch = this.#waiters
      this.#waiters = []
      try {
        const result = await this.#work()
        for (const waiter of batch) waiter.resolve(result)
      } catch (error) {
        for (const waiter of batch) waiter.reject(error)
      }
    }
    this.#running = false
    this.#idle()
  }
}
