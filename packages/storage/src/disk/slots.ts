/** Bounds how many callers work at the same time. The others wait in a queue. */
export class Slots {
  #free: number
  readonly #line: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Waits for a slot. The caller gives it back with `give`. */
  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return
    }
    await new Promise<void>((resolve) => this.#line.push(resolve))
  }

  give(): void {
    const next = this.#line.shift()
    if (next === undefined) this.#free++
    else next()
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    await this.take()
    try {
      return await work()
    } finally {
      this.give()
    }
  }
}
