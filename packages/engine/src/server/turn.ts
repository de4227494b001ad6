/**
 * Turns of sessions: one that has much to say gives way to others.
 *
 * The bytes of a client that pipelines without end are always there, so its session would never wait, and nobody else would run.
 */

/** Commands of a turn. A client that waits for replies says fewer at a time. */
const MAX_COMMANDS = 200
/** How long a turn may take. */
const MAX_MS = 5
/** The clock is asked once in so many commands. */
const COMMANDS_A_LOOK = 10

export class Turn {
  #commands = 0
  #startedAtMs = 0

  /** Counts a command. Returns a promise if the session is to give way, which resolves when others have had their turn. */
  count(): Promise<void> | undefined {
    const commands = ++this.#commands
    if (commands % COMMANDS_A_LOOK !== 0) {
      if (commands === 1) this.#startedAtMs = performance.now()
      return undefined
    }
    if (commands < MAX_COMMANDS && performance.now() - this.#startedAtMs < MAX_MS) return undefined
    this.#commands = 0
    // A timer is the one macrotask that every runtime has.
    return new Promise((resolve) => setTimeout(resolve, 0))
  }

  /** Begins a new turn, because the session waits for its client, and others run meanwhile. */
  end(): void {
    this.#commands = 0
  }
}
