/**
 * How long a session may wait. Numbers and the time go in, the next deadline comes out: there is no timer and no clock here.
 *
 * A session waits for one thing at a time: the client's bytes, the client to take ours, a handshake, a hook. Each has its time.
 * Times are milliseconds of one clock that never goes back.
 */
import type { Limits } from '../protocol/limits.ts'

/** What a session waits for. */
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

/** What hooks have to clean up after their session was destroyed. */
const LAST_MOMENT_MS = 1_000

export class Deadlines {
  wait: Wait = 'nothing'

  readonly #limits: Limits
  #sessionEndsAt: number
  #waitEndsAt = Infinity
  /** Set once the session was destroyed. */
  #lastMomentEndsAt: number | undefined
  /** Hooks that have not answered. Between two chunks one is asked while that for the message waits. */
  #hooks = 0
  #commandAwaitedSince = 0
  /** How many lines had been read when the command was first awaited. */
  #linesBefore = -1
  #messageAwaitedSince = 0
  /** How long the message has waited for the client. What it waits for its reader does not count against the client. */
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

  /** Whether the time of the whole session is up. */
  isSessionOver(now: number): boolean {
    return now >= this.#sessionEndsAt
  }

  /** How long the session has waited for the client's next command. undefined if it waits for something else. */
  idleMs(now: number, { isInMessage }: Progress): number | undefined {
    return this.wait === 'bytes' && !this.isHookAwaited && !isInMessage ? now - this.#commandAwaitedSince : undefined
  }

  /** Waits for the client's next bytes. */
  forBytes(now: number, progress: Progress): void {
    if (progress.isInMessage) this.#forMessage(now, progress)
    else this.#forCommand(now, progress)
  }

  /** A byte of a command now and then does not buy more time. */
  #forCommand(now: number, { isInLine, linesRead }: Progress): void {
    // One that began in the packet of what came before it has its time too.
    if (!isInLine || linesRead !== this.#linesBefore) {
      this.#commandAwaitedSince = now
      this.#linesBefore = linesRead
    }
    this.#begin('bytes', this.#commandAwaitedSince, this.#limits.idleTimeoutMs)
  }

  /** The pause between two blocks is bounded, and so is the time that this many octets may take. */
  #forMessage(now: number, { messageOctets }: Progress): void {
    const { dataTimeoutMs, minDataBytesPerSecond, minDataRateGraceMs } = this.#limits
    this.#messageAwaitedSince = now
    const earnedMs = (messageOctets * 1_000) / minDataBytesPerSecond
    const leftMs = minDataBytesPerSecond === 0 ? Infinity : minDataRateGraceMs + earnedMs - this.#clientMs
    this.#begin('bytes', now, Math.min(dataTimeoutMs, leftMs))
  }

  /** A new message begins: its time starts anew. */
  beginMessage(): void {
    this.#clientMs = 0
  }

  /** Counts the time of a message that its client has taken. */
  messageBytesCame(now: number): void {
    this.#clientMs += now - this.#messageAwaitedSince
  }

  /** Waits for the client to take what was written. */
  forPeer(now: number): void {
    this.#begin('peer', now, this.#limits.idleTimeoutMs)
  }

  /** Waits for the client to take the last reply and close. It has time for that also when the session's is up. */
  forClose(now: number): void {
    this.#sessionEndsAt = Infinity
    this.forPeer(now)
  }

  forHandshake(now: number): void {
    this.#begin('handshake', now, this.#limits.tlsHandshakeTimeoutMs)
  }

  /**
   * A hook is waited for. Returns whether its time begins now: one that has begun to read waits for the client, and that deadline
   * stays.
   */
  hookBegins(): boolean {
    this.#hooks++
    return !this.#isBusy
  }

  /**
   * A hook has answered. Returns whether the time of another one begins anew. It may answer while it still waits for the client:
   * that deadline stays.
   */
  hookEnds(): boolean {
    this.#hooks--
    if (this.#isBusy) return false
    if (this.isHookAwaited) return true
    this.end()
    return false
  }

  /** Something else than a hook is waited for. */
  get #isBusy(): boolean {
    return this.wait !== 'nothing' && this.wait !== 'hook'
  }

  /** The time of a hook begins: it is waited for, or the wait is over that it waited for. */
  forHook(now: number): void {
    this.#begin('hook', now, this.#limits.hookTimeoutMs)
  }

  /** Nothing is waited for. */
  end(): void {
    this.wait = 'nothing'
    this.#waitEndsAt = Infinity
  }

  /** The session was destroyed: its hooks have a moment to clean up. */
  destroyed(now: number): void {
    this.#lastMomentEndsAt = now + LAST_MOMENT_MS
  }

  /** Returns what has taken too long, and waits for it no more. */
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
