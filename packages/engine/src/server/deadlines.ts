/**
 * How long a session may wait. The functions take numbers and the time, and return the next deadline. They have no
 * timer and no clock.
 * A session waits for one thing at a time: the client's bytes, the client to take our bytes, a handshake, or a hook.
 * Each has its own time. Times are milliseconds of a clock that never goes back.
 */
import type { Limits } from '../protocol/limits.ts'

/** What a session is waiting for. */
export type Wait = 'nothing' | 'bytes' | 'peer' | 'handshake' | 'hook'

/** How far the client has come. */
export interface Progress {
  /** A message has begun and not ended. */
  readonly isInMessage: boolean
  /** A command has begun and not ended. */
  readonly isInLine: boolean
  /** Command lines and responses so far. */
  readonly linesRead: number
  /** Octets of the message so far. */
  readonly messageOctets: number
}

/** How long hooks may clean up after their session was destroyed. */
const LAST_MOMENT_MS = 1_000

export class Deadlines {
  wait: Wait = 'nothing'

  readonly #limits: Limits
  #sessionEndsAt: number
  #waitEndsAt = Infinity
  /** Set once the session was destroyed. */
  #lastMomentEndsAt: number | undefined
  /** Hooks that have not answered. Between two chunks, a hook may be asked while the message's hook is still waited for. */
  #hooks = 0
  #commandAwaitedSince = 0
  /** The number of lines that were read when the session began to wait for the command. */
  #linesBefore = -1
  #messageAwaitedSince = 0
  /**
   * How long the message has waited for the client. Time in which the client waits for the hook that reads the message
   * does not count.
   */
  #clientMs = 0

  constructor(limits: Limits, now: number) {
    this.#limits = limits
    this.#sessionEndsAt = now + limits.sessionTimeoutMs
  }

  /** The next deadline; Infinity if there is none. */
  get at(): number {
    return this.#lastMomentEndsAt === undefined ? this.#waitEndsAt : Math.min(this.#waitEndsAt, this.#lastMomentEndsAt)
  }

  get isHookAwaited(): boolean {
    return this.#hooks > 0
  }

  /** Returns whether the time of the whole session is over. */
  isSessionOver(now: number): boolean {
    return now >= this.#sessionEndsAt
  }

  /** Returns how long the session has waited for the client's next command. undefined if it waits for something else. */
  idleMs(now: number, { isInMessage }: Progress): number | undefined {
    return this.wait === 'bytes' && !this.isHookAwaited && !isInMessage ? now - this.#commandAwaitedSince : undefined
  }

  /** Waits for the client's next bytes. */
  forBytes(now: number, progress: Progress): void {
    if (progress.isInMessage) this.#forMessage(now, progress)
    else this.#forCommand(now, progress)
  }

  /** The time for a command starts once. A client gets no more time if it sends a byte now and then. */
  #forCommand(now: number, { isInLine, linesRead }: Progress): void {
    // A command that began in the same packet as the one before also gets its full time.
    if (!isInLine || linesRead !== this.#linesBefore) {
      this.#commandAwaitedSince = now
      this.#linesBefore = linesRead
    }
    this.#begin('bytes', this.#commandAwaitedSince, this.#limits.idleTimeoutMs)
  }

  /** Bounds the pause between two blocks, and the time for this many octets. */
  #forMessage(now: number, { messageOctets }: Progress): void {
    const { dataTimeoutMs, minDataBytesPerSecond, minDataRateGraceMs } = this.#limits
    this.#messageAwaitedSince = now
    const earnedMs = (messageOctets * 1_000) / minDataBytesPerSecond
    const leftMs = minDataBytesPerSecond === 0 ? Infinity : minDataRateGraceMs + earnedMs - this.#clientMs
    this.#begin('bytes', now, Math.min(dataTimeoutMs, leftMs))
  }

  /** Starts the time of a new message. */
  beginMessage(): void {
    this.#clientMs = 0
  }

  /** Counts the time in which the message waited for the client. */
  messageBytesCame(now: number): void {
    this.#clientMs += now - this.#messageAwaitedSince
  }

  /** Waits for the client to take what was written. */
  forPeer(now: number): void {
    this.#begin('peer', now, this.#limits.idleTimeoutMs)
  }

  /**
   * Waits for the client to take the last reply and close. The client has time for it even if the session's time is
   * over.
   */
  forClose(now: number): void {
    this.#sessionEndsAt = Infinity
    this.forPeer(now)
  }

  forHandshake(now: number): void {
    this.#begin('handshake', now, this.#limits.tlsHandshakeTimeoutMs)
  }

  /**
   * Counts a hook that the session now waits for. Returns whether the hook's time begins now. If the hook has already
   * begun to read, it waits for the client, and the client's deadline stays.
   */
  hookBegins(): boolean {
    this.#hooks++
    return !this.#isBusy
  }

  /**
   * Counts a hook that has answered. Returns whether the time of another hook starts again. If the other hook waits for
   * the client, the client's deadline stays.
   */
  hookEnds(): boolean {
    this.#hooks--
    if (this.#isBusy) return false
    if (this.isHookAwaited) return true
    this.end()
    return false
  }

  /** True if the session waits for something other than a hook. */
  get #isBusy(): boolean {
    return this.wait !== 'nothing' && this.wait !== 'hook'
  }

  /** Starts the time of a hook: the session begins to wait for it, or the hook's own wait has ended. */
  forHook(now: number): void {
    this.#begin('hook', now, this.#limits.hookTimeoutMs)
  }

  /** Ends the wait. */
  end(): void {
    this.wait = 'nothing'
    this.#waitEndsAt = Infinity
  }

  /** Gives hooks a moment to clean up, because the session was destroyed. */
  destroyed(now: number): void {
    this.#lastMomentEndsAt = now + LAST_MOMENT_MS
  }

  /** Returns the wait that took too long, and ends it. */
  expire(now: number): Wait | 'last-moment' {
    if (this.#lastMomentEndsAt !== undefined && now >= this.#lastMomentEndsAt) {
      this.#lastMomentEndsAt = undefined
      return 'last-moment'
    }
    if (now < this.#waitEndsAt) return 'nothing'
    const { wait } = this
    this.end()
    return wait
  }

  #begin(wait: Wait, since: number, ms: number): void {
    this.wait = wait
    this.#waitEndsAt = Math.min(since + ms, this.#sessionEndsAt)
  }
}
