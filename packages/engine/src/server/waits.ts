/**
 * What a session waits for now. It has the session's clock and its one timer.
 * Deadlines move with every command, and timers are expensive. So the timer runs to the nearest deadline that was
 * possible. When it ends, it sleeps again for the time that is left. It is set again only if the new deadline is
 * earlier than its end.
 */
import type { Limits } from '../protocol/limits.ts'
import { Deadlines, type Progress, type Wait } from './deadlines.ts'

/** Gets a call when the time is over. */
export interface WaitsOwner {
  /** @param isSessionOver The time of the whole session is over */
  timeUp(waited: Wait | 'last-moment', isSessionOver: boolean): void
}

export class Waits {
  readonly #deadlines: Deadlines
  readonly #progress: Progress
  readonly #owner: WaitsOwner
  /** The shortest usual wait. The timer is set this far ahead. */
  readonly #shortestMs: number
  #wakesAt = Infinity
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(limits: Limits, progress: Progress, owner: WaitsOwner) {
    this.#deadlines = new Deadlines(limits, performance.now())
    this.#shortestMs = Math.min(limits.idleTimeoutMs, limits.dataTimeoutMs, limits.hookTimeoutMs)
    this.#progress = progress
    this.#owner = owner
  }

  /** True if the session waits for bytes of the client. */
  get isForBytes(): boolean {
    return this.#deadlines.wait === 'bytes'
  }

  get isForPeer(): boolean {
    return this.#deadlines.wait === 'peer'
  }

  get isHookAwaited(): boolean {
    return this.#deadlines.isHookAwaited
  }

  /**
   * Milliseconds for which the session has waited for the client's next command. undefined if it waits for something
   * else.
   */
  get idleMs(): number | undefined {
    return this.#deadlines.idleMs(performance.now(), this.#progress)
  }

  /** Waits for the client's next bytes. */
  forBytes(): void {
    const now = performance.now()
    this.#deadlines.forBytes(now, this.#progress)
    this.#arm(now)
  }

  /** Ends the wait, because the client's bytes are here. */
  bytesCame(): void {
    if (this.#progress.isInMessage) this.#deadlines.messageBytesCame(performance.now())
    this.rest()
  }

  /** Waits for the client to take what was written. */
  forPeer(): void {
    const now = performance.now()
    this.#deadlines.forPeer(now)
    this.#arm(now)
  }

  /** Waits for the client to take the last reply and close. */
  forClose(): void {
    const now = performance.now()
    this.#deadlines.forClose(now)
    this.#arm(now)
  }

  forHandshake(): void {
    const now = performance.now()
    this.#deadlines.forHandshake(now)
    this.#arm(now)
  }

  beginMessage(): void {
    this.#deadlines.beginMessage()
  }

  hookBegins(): void {
    if (this.#deadlines.hookBegins()) this.#forHook()
  }

  hookEnds(): void {
    if (this.#deadlines.hookEnds()) this.#forHook()
  }

  /** Ends a wait. If a hook waited for it, the hook's time starts again. */
  rest(): void {
    if (this.#deadlines.isHookAwaited) this.#forHook()
    else this.#deadlines.end()
  }

  #forHook(): void {
    const now = performance.now()
    this.#deadlines.forHook(now)
    this.#arm(now)
  }

  /** Ends a wait, even if a hook waited for it. */
  end(): void {
    this.#deadlines.end()
  }

  /** Gives hooks a moment to clean up, because the session was destroyed. */
  destroyed(): void {
    const now = performance.now()
    this.#deadlines.destroyed(now)
    this.#arm(now)
  }

  /** Drops all deadlines. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#wakesAt = -Infinity
  }

  #arm(now: number): void {
    if (this.#deadlines.at < this.#wakesAt) this.#sleep(now)
  }

  #sleep(now: number): void {
    clearTimeout(this.#timer)
    this.#wakesAt = Math.min(this.#deadlines.at, now + this.#shortestMs)
    this.#timer = setTimeout(wake, Math.max(0, this.#wakesAt - now), this)
  }

  /** Called by its own timer. */
  wake(): void {
    const now = performance.now()
    const { at } = this.#deadlines
    if (now < at && at < Infinity) return this.#sleep(now)
    this.#wakesAt = Infinity
    const waited = this.#deadlines.expire(now)
    if (waited !== 'nothing') this.#owner.timeUp(waited, this.#deadlines.isSessionOver(now))
    this.#arm(performance.now())
  }
}

/** A function without a closure, because every idle session would keep a closure. */
function wake(waits: Waits): void {
  waits.wake()
}
