/**
 * Decides which logins may be tried now, and which wait. Every address has its own queue, called a line.
 *
 * An address that has failed tries one login at a time, and waits its delay before each, over all its connections. A
 * login that would wait too long is refused at once, so that no session waits for it. Each line is bounded, and so is
 * their sum. If all places are taken, the longest line loses its last login to an address that has fewer.
 */
import type { LoginRefusal } from '../login-answer.ts'
import type { LoginKeys, Penalties, Standing } from './penalties.ts'

/** A login that waits for its turn. Either `begin` or `refuse` is called, once. */
export interface Turn {
  readonly keys: LoginKeys
  /** The login may be tried now, until `Turns.end` is called. */
  begin(): void
  refuse(why: LoginRefusal): void
}

export interface TurnLimits {
  /** Logins that wait or are being tried, in all lines. */
  readonly maxLogins: number
  /** The same in one line. */
  readonly maxLoginsPerAddress: number
  /** How many logins of an address without failures are tried at a time. */
  readonly maxAtOncePerAddress: number
  /** The longest wait because of failures. */
  readonly maxWaitMs: number
}

const LIMITS: TurnLimits = {
  maxLogins: 1_024,
  maxLoginsPerAddress: 64,
  maxAtOncePerAddress: 8,
  maxWaitMs: 10_000,
}

interface Waiting {
  readonly turn: Turn
  /** When the delay of its account is over. */
  readonly notBeforeMs: number
}

interface Line {
  waiting: Waiting[]
  /** Turns that have begun and not ended. */
  trying: number
  timer: ReturnType<typeof setTimeout> | undefined
}

export class Turns {
  readonly #penalties: Penalties
  readonly #limits: TurnLimits
  readonly #lines = new Map<string, Line>()
  #size = 0

  /** @param maxLoginMs How long a login may take in all. No wait is longer. */
  constructor(penalties: Penalties, limits: Partial<TurnLimits> = {}, maxLoginMs: number = Infinity) {
    this.#penalties = penalties
    const given = { ...LIMITS, ...limits }
    this.#limits = { ...given, maxWaitMs: Math.min(given.maxWaitMs, maxLoginMs) }
  }

  /** The number of logins that wait or are being tried. */
  get size(): number {
    return this.#size
  }

  /** Adds a login to its line. The login may begin, or be refused, before this returns. */
  enter(turn: Turn): void {
    const nowMs = performance.now()
    const { payer } = turn.keys
    const line = this.#lines.get(payer) ?? { waiting: [], trying: 0, timer: undefined }
    const ahead = line.waiting.length + line.trying
    const standing = this.#penalties.standing(turn.keys, nowMs)
    if (waitOf(standing, ahead, nowMs) > this.#limits.maxWaitMs) return turn.refuse('delayed')
    if (ahead >= this.#limits.maxLoginsPerAddress || !this.#makeRoom(line)) return turn.refuse('busy')
    this.#lines.set(payer, line)
    this.#size++
    line.waiting.push({ turn, notBeforeMs: nowMs + standing.accountDelayMs })
    this.#advance(payer, line)
  }

  /**
   * Ends a turn that has begun.
   * @param isRight True if the login succeeded; undefined if the result is unknown
   */
  end({ keys }: Turn, isRight: boolean | undefined): void {
    this.count(keys, isRight)
    const line = this.#lines.get(keys.payer)
    if (line === undefined) return
    line.trying--
    this.#size--
    if (isRight === false) this.#refuseLate(line)
    this.#advance(keys.payer, line)
  }

  /** Counts the result of a login, even if its turn is over. */
  count(keys: LoginKeys, isRight: boolean | undefined): void {
    if (isRight === true) this.#penalties.succeeded(keys, performance.now())
    if (isRight === false) this.#penalties.failed(keys, performance.now())
  }

  /** Removes a login that still waits. Neither of its methods is called. */
  leave(turn: Turn): void {
    const line = this.#lines.get(turn.keys.payer)
    const at = line?.waiting.findIndex((waiting) => waiting.turn === turn) ?? -1
    if (line === undefined || at === -1) return
    line.waiting.splice(at, 1)
    this.#size--
    this.#advance(turn.keys.payer, line)
  }

  /** Refuses all logins that wait. */
  clear(): void {
    for (const [payer, line] of this.#lines) {
      for (const { turn } of line.waiting.splice(0)) this.#refuse(turn, 'busy')
      this.#advance(payer, line)
    }
  }

  /** Begins the logins that may begin now, and sets a timer for the next one. */
  #advance(payer: string, line: Line): void {
    const nowMs = performance.now()
    clearTimeout(line.timer)
    line.timer = undefined
    let nextMs = Infinity
    for (const waiting of line.waiting.slice()) {
      const { rank, readyAtMs } = this.#penalties.standing(waiting.turn.keys, nowMs)
      const atMs = Math.max(waiting.notBeforeMs, readyAtMs)
      if (line.trying >= (rank === 2 ? 1 : this.#limits.maxAtOncePerAddress)) continue
      if (atMs > nowMs) {
        nextMs = Math.min(nextMs, atMs)
        continue
      }
      line.waiting.splice(line.waiting.indexOf(waiting), 1)
      line.trying++
      waiting.turn.begin()
    }
    if (nextMs < Infinity) line.timer = setTimeout(() => this.#advance(payer, line), Math.ceil(nextMs - nowMs))
    if (line.waiting.length + line.trying === 0) this.#lines.delete(payer)
  }

  /** Refuses the logins of a line that would now wait too long, from its end. */
  #refuseLate(line: Line): void {
    const nowMs = performance.now()
    for (let at = line.waiting.length - 1; at >= 0; at--) {
      const { turn } = line.waiting[at] as Waiting
      if (waitOf(this.#penalties.standing(turn.keys, nowMs), at, nowMs) <= this.#limits.maxWaitMs) continue
      line.waiting.splice(at, 1)
      this.#refuse(turn, 'delayed')
    }
  }

  /** Returns whether this line may have one more login. If all places are taken, it takes one from the longest line. */
  #makeRoom(line: Line): boolean {
    if (this.#size < this.#limits.maxLogins) return true
    let longest = line
    for (const other of this.#lines.values()) if (other.waiting.length > longest.waiting.length) longest = other
    if (longest.waiting.length <= line.waiting.length + 1) return false
    const { turn } = longest.waiting.pop() as Waiting
    this.#refuse(turn, 'busy')
    return true
  }

  #refuse(turn: Turn, why: LoginRefusal): void {
    this.#size--
    turn.refuse(why)
  }
}

/** Returns how long a login waits because of failures, if the logins ahead of it may fail too. */
function waitOf({ readyAtMs, delayMs }: Standing, ahead: number, nowMs: number): number {
  return Math.max(0, readyAtMs - nowMs) + ahead * delayMs
}
