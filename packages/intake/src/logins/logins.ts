/**
 * Decides when a login is tried, for all connections together. First the login waits for its turn (turns.ts). If it then asks for a
 * password check, the check waits in a queue that is fair by address (queue.ts) and runs in a separate thread (threads.ts).
 */
import type { Attempt, LoginRefusal, Logins } from '../login-answer.ts'
import type { PasswordCheck } from '../directory/record.ts'
import type { Login } from '../login-answer.ts'
import { type LoginKeys, Penalties } from './penalties.ts'
import { FairQueue, type Place } from './queue.ts'
import { type CheckRights, type CheckRunner, openCheckRunner } from './threads.ts'
import { type Turn, type TurnLimits, Turns } from './turns.ts'

export interface LoginsOptions {
  readonly runner: CheckRunner
  /** A login that takes longer loses its place. */
  readonly maxLoginMs: number
  /** How long a refusal is delayed. Default: 3 s, or half of `maxLoginMs` if that is shorter. */
  readonly refusalDelayMs?: number
  readonly limits?: Partial<TurnLimits>
  readonly penalties?: Penalties
}

/** The delay keeps a refused client from trying again thousands of times a second, which would slow down mail. */
const REFUSAL_DELAY_MS = 3_000

/** A check that waits for a thread. */
interface Waiting {
  readonly check: PasswordCheck
  settle(answer: Promise<boolean> | LoginRefusal): void
}

/**
 * Makes the logins of a server. It starts no thread before the first check.
 *
 * @param answerWithinMs How long the engine waits for the answer to AUTH. Waits and delays leave a quarter of it to the check and to hooks.
 */
export function openLogins(answerWithinMs: number, rights: CheckRights = {}): LocalLogins {
  return new LocalLogins({ runner: openCheckRunner(rights), maxLoginMs: answerWithinMs / 2 })
}

/** Logins of this process. */
export class LocalLogins implements Logins {
  readonly #runner: CheckRunner
  readonly #maxLoginMs: number
  readonly #penalties: Penalties
  readonly #turns: Turns
  readonly #checks = new FairQueue<Waiting>()
  readonly #refusalDelayMs: number
  /** Ends each delay of a refusal. */
  readonly #delays = new Set<() => void>()
  #running = 0
  #isClosed = false

  constructor({ runner, maxLoginMs, refusalDelayMs, limits, penalties = new Penalties() }: LoginsOptions) {
    this.#refusalDelayMs = refusalDelayMs ?? Math.min(REFUSAL_DELAY_MS, maxLoginMs / 2)
    this.#runner = runner
    this.#maxLoginMs = maxLoginMs
    this.#penalties = penalties
    this.#turns = new Turns(penalties, limits, maxLoginMs)
  }

  async begin(login: Login, signal: AbortSignal): Promise<Attempt | LoginRefusal> {
    if (this.#isClosed || signal.aborted) return 'busy'
    const attempt = new LocalAttempt(this, this.#turns, this.#penalties.keysOf(login), this.#maxLoginMs, signal)
    this.#turns.enter(attempt)
    const answer = await attempt.begun
    if (typeof answer === 'string') await this.#delay(signal)
    return answer
  }

  /** Refuses all logins that wait, and all later ones. Logins whose turn has come still get an answer. */
  close(): void {
    this.#isClosed = true
    this.#turns.clear()
    for (const end of this.#delays) end()
    for (let next = this.#checks.shift(); next !== undefined; next = this.#checks.shift()) next.settle('busy')
    this.#runner.close()
  }

  /** Queues a check. @returns a function that removes it again while it waits */
  queue(keys: LoginKeys, value: Waiting): () => boolean {
    const { rank } = this.#penalties.standing(keys, performance.now())
    const place: Place<Waiting> = { rank, address: keys.address, value }
    this.#checks.push(place)
    this.#run()
    return () => this.#checks.remove(place)
  }

  async #delay(signal: AbortSignal): Promise<void> {
    if (this.#isClosed || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, this.#refusalDelayMs)
    this.#delays.add(resolve)
    const aborted = (): void => resolve()
    signal.addEventListener('abort', aborted)
    await promise
    clearTimeout(timer)
    signal.removeEventListener('abort', aborted)
    this.#delays.delete(resolve)
  }

  #run(): void {
    while (this.#running < this.#runner.maxAtOnce) {
      const next = this.#checks.shift()
      if (next === undefined) return
      this.#running++
      const answer = this.#runner.run(next.check).finally(() => {
        this.#running--
        this.#run()
      })
      next.settle(answer)
    }
  }
}

class LocalAttempt implements Attempt, Turn {
  readonly keys: LoginKeys
  /** Resolves when its turn comes, or when it is refused. */
  readonly begun: Promise<Attempt | LoginRefusal>
  readonly #logins: LocalLogins
  readonly #turns: Turns
  readonly #signal: AbortSignal
  readonly #timer: ReturnType<typeof setTimeout>
  readonly #answer: (answer: Attempt | LoginRefusal) => void
  /** Ends the current wait. */
  #giveUp: (() => void) | undefined
  readonly #aborted = (): void => this.#giveUp?.()
  #isOver = false

  constructor(logins: LocalLogins, turns: Turns, keys: LoginKeys, maxLoginMs: number, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<Attempt | LoginRefusal>()
    this.begun = promise
    this.#answer = resolve
    this.#logins = logins
    this.#turns = turns
    this.keys = keys
    this.#signal = signal
    this.#giveUp = () => {
      turns.leave(this)
      this.refuse('busy')
    }
    signal.addEventListener('abort', this.#aborted)
    this.#timer = setTimeout(() => this.#expire(), maxLoginMs)
  }

  begin(): void {
    this.#giveUp = undefined
    this.#answer(this)
  }

  refuse(why: LoginRefusal): void {
    this.#finish()
    this.#answer(why)
  }

  async check(check: PasswordCheck): Promise<boolean | LoginRefusal> {
    if (this.#signal.aborted) return 'busy'
    const { promise, resolve } = Promise.withResolvers<boolean | LoginRefusal>()
    if (this.#signal.aborted || this.#isOver) return 'busy'
    const takeOut = this.#logins.queue(this.keys, { check, settle: resolve })
    this.#giveUp = () => {
      if (takeOut()) resolve('busy')
    }
    return promise
  }

  end(isRight: boolean | undefined): void {
    if (this.#isOver) return this.#turns.count(this.keys, isRight)
    this.#finish()
    this.#turns.end(this, isRight)
  }

  /** Gives back the place of a login that takes too long, because a hook may never answer. */
  #expire(): void {
    if (this.#giveUp === undefined) this.end(undefined)
    else this.#giveUp()
  }

  #finish(): void {
    this.#isOver = true
    this.#giveUp = undefined
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#aborted)
  }
}
