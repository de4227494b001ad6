/**
 * What a session waits for now: its clock, and its one timer, however often the deadline moves.
 *
 * Deadlines move with every command, and timers are expensive. So the timer runs to where the nearest deadline could have
 * been, looks then, and sleeps for what is left. It is set anew only for a deadline that is nearer than that.
 */
import type { Limits } from '../protocol/limits.ts'
import { Deadlines, type Progress, type Wait } from './deadlines.ts'

/** Who is told that the time is up. */
export interface WaitsOwner {
  /** @param isSessionOver Whether the time of the whole session is up */
  timeUp(waited: Wait | 'last-moment', isSessionOver: boolean): void
}

export class Waits {
  readonly #deadlines: Deadlines
  readonly #progress: Progress
  readonly #owner: WaitsOwner
  /** The shortest wait that is usual: how far ahead the timer is set. */
  readonly #shortestMs: number
  #wakesAt = Infinity
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(limits: Limits, progress: Progress, owner: WaitsOwner) {
    this.#deadlines = new Deadlines(limits, performance.now())
    this.#shortestMs = Math.min(limits.idleTimeoutMs, limits.dataTimeoutMs, limits.hookTimeoutMs)
    this.#progress = progress
    this.#owner = owner
  }

  /** Whether the client is to say something. */
  get isForBytes(): boolean {
    return this.#deadlines.wait === 'bytes'
  }

  get isForPeer(): boolean {
    return this.#deadlines.wait === 'peer'
  }

  get isHookAwaited(): boolean {
    return this.#deadlines.isHookAwaited
  }

  /** How long the session has waited for the client's next command. undefined if it waits for something else. */
  get idleMs(): number | undefined {
    return this.#deadlines.idleMs(performance.now(), this.#progress)
  }

  /** Waits for the client's next bytes. */
  forBytes(): void {
    const now = performance.now()
    this.#deadlines.forBytes(now, this.#progress)
    this.#arm(now)
  }

  /** The client's bytes are here. */
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

  /** Ends a wait. What remains is the hook that waited for it, if one did. */
  rest(): void {
    if (this.#deadlines.isHookAwaited) this.#forHook()
    else this.#deadlines.end()
  }

  #forHook(): void {
    const now = performance.now()
    this.#deadlines.forHook(now)
    this.#arm(now)
  }

  /** Ends a wait, also where a hook waited for it. */
  end(): void {
    this.#deadlines.end()
  }

  /** The session was destroyed: its hooks have a moment. */
  destroyed(): void {
    const now = performance.now()
    this.#deadlines.destroyed(now)
    this.#arm(now)
  }

  /** No deadline holds any more. */
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

  /** For its own timer. */
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

/** Without a closure, as every idle session would keep one. */
function wake(waits: Waits): void {
  waits.wake()
}
