/**
 * One timer for a session, however often its deadline moves.
 *
 * Deadlines move with every command; timers are dear. So the timer is left to run to where the nearest deadline could have
 * been, looks then, and goes back to sleep for what is left. It is armed anew only for a deadline that is nearer than that.
 */
/** Who is told that the time is up. */
export interface Owner {
  /** @param isSessionOver Whether it is the time of the whole session */
  expire(isSessionOver: boolean): void
}

export class Watchdog {
  readonly #shortestMs: number
  #sessionEndsAt: number
  readonly #owner: Owner
  #deadline: number
  #wakesAt = Infinity
  #timer: ReturnType<typeof setTimeout> | undefined

  /** @param shortestMs The shortest wait that is usual: how far ahead the timer is set. */
  constructor(sessionTimeoutMs: number, shortestMs: number, owner: Owner) {
    this.#shortestMs = shortestMs
    this.#sessionEndsAt = performance.now() + sessionTimeoutMs
    this.#deadline = this.#sessionEndsAt
    this.#owner = owner
  }

  /** Moves the deadline: from `now` on, `ms` may pass. */
  allow(ms: number, now: number = performance.now()): void {
    this.#deadline = Math.min(now + ms, this.#sessionEndsAt)
    if (this.#deadline < this.#wakesAt) this.#sleep(now)
  }

  /** The last wait of a session: `ms` may pass, also where the session's own time is up. */
  allowLast(ms: number): void {
    this.#sessionEndsAt = Infinity
    this.allow(ms)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#wakesAt = -Infinity
  }

  #sleep(now: number): void {
    clearTimeout(this.#timer)
    this.#wakesAt = Math.min(this.#deadline, now + this.#shortestMs)
    this.#timer = setTimeout(wake, Math.max(0, this.#wakesAt - now), this)
  }

  /** For its own timer. */
  wake(): void {
    const now = performance.now()
    if (now < this.#deadline) {
      this.#sleep(now)
      return
    }
    this.#wakesAt = Infinity
    this.#owner.expire(now >= this.#sessionEndsAt)
  }
}

/** Without a closure, as every idle session would keep one. */
function wake(watchdog: Watchdog): void {
  watchdog.wake()
}
