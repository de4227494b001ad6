/**
 * Turns of sessions: a session with many commands lets the others run. A client that pipelines without end always has
 * bytes ready. Without turns its session would never wait, and no other session would run.
 */

/** Commands of a turn. A client that waits for each reply never reaches this number. */
const MAX_COMMANDS = 100
/** The longest turn, measured from its first look at the clock. */
const MAX_MS = 2
/** The session looks at the clock after this many commands. A client that waits for each reply never gets there. */
const COMMANDS_A_LOOK = 10

export class Turn {
  #commands = 0
  #firstLookMs = 0

  /** Counts a command. Returns a promise if the session is to give way, which resolves when others have had their turn. */
  count(): Promise<void> | undefined {
    if (++this.#commands % COMMANDS_A_LOOK !== 0) return undefined
    const nowMs = performance.now()
    if (this.#commands === COMMANDS_A_LOOK) this.#firstLookMs = nowMs
    if (this.#commands < MAX_COMMANDS && nowMs - this.#firstLookMs < MAX_MS) return undefined
    this.#commands = 0
    // A timer is the one macrotask that every runtime has.
    return new Promise((resolve) => setTimeout(resolve, 0))
  }

  /** Begins a new turn, because the session waits for its client, and others run meanwhile. */
  end(): void {
    this.#commands = 0
  }
}
