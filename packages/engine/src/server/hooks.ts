/** Runs hooks and waits for them. */
import { acrossCopies } from '../copies.ts'
import { isPromiseLike } from '../promise.ts'
import { LOCAL_ERROR } from '../protocol/grammar/replies.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { Context } from './context.ts'
import type { Verdict } from './handlers.ts'
import { MessageError, Refusal } from './session/message.ts'
import type { Session } from './session/session.ts'
import { checked, toRefusal } from './verdict.ts'
import type { Waits } from './waits.ts'
import type { Wire } from './wire.ts'

/**
 * A hook that the session waits for. Between two chunks, a hook may be asked while the message's hook is still waited
 * for. Either may be asked first, because the message's hook may read before it is waited for. Either may answer first.
 */
interface AwaitedHook {
  /** The hook that was waited for before. */
  readonly before: AwaitedHook | undefined
  isOver: boolean
  giveUp(last: Reply | undefined): void
}

type Check<T> = (verdict: unknown, hook: string) => T

/** A hook did not answer within `hookTimeoutMs`. It goes to `error`. */
export class HookTimeoutError extends Error {
  static {
    acrossCopies(this, 'HookTimeoutError')
  }
  override readonly name = 'HookTimeoutError'
  constructor() {
    super('timed out: a hook has not answered')
  }
}

/** Runs hooks: without a wait if they answer at once, and within their time if they do not. */
export class Hooks {
  readonly #wire: Wire
  readonly #waits: Waits
  readonly #context: Context
  readonly #session: Session
  /** The hook whose time is running. */
  #awaited: AwaitedHook | undefined

  constructor(wire: Wire, waits: Waits, context: Context, session: Session) {
    this.#wire = wire
    this.#waits = waits
    this.#context = context
    this.#session = session
  }

  /** Runs a hook. Never throws and never rejects: an error is reported, and the client gets its reply. */
  ask(name: string, call: () => Verdict | Promise<Verdict>): Verdict | Promise<Verdict> {
    return this.askFor(name, call, checked)
  }

  /** Does the same for a hook with other answers. @param check Returns a valid answer, and throws for any other */
  askFor<T>(name: string, call: () => T | Promise<T>, check: Check<T>): T | Reply | Promise<T | Reply> {
    try {
      const verdict = call()
      return isPromiseLike(verdict) ? this.#later(name, verdict, check) : check(verdict, name)
    } catch (error) {
      return this.mishap(error, LOCAL_ERROR)
    }
  }

  async #later<T>(name: string, verdict: PromiseLike<T>, check: Check<T>): Promise<T | Reply> {
    try {
      return check(await this.bounded(verdict, LOCAL_ERROR), name)
    } catch (error) {
      return this.mishap(error, LOCAL_ERROR)
    }
  }

  /**
   * Waits for a hook's answer, for a bounded time. If the time is over, the answer is `late`. Sends waiting replies
   * first (RFC 2920 3.2).
   */
  bounded<T>(hook: PromiseLike<T>, late: Reply): Promise<T | Reply> {
    this.#wire.flushForHook()
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        if (awaited.isOver) return
        awaited.isOver = true
        while (this.#awaited?.isOver === true) this.#awaited = this.#awaited.before
        this.#waits.hookEnds()
      }
      const awaited: AwaitedHook = {
        before: this.#awaited,
        isOver: false,
        giveUp: (last) => {
          settle()
          resolve(last ?? this.#tooLate(late))
        },
      }
      this.#awaited = awaited
      this.#waits.hookBegins()
      // The hook may return an object that is not a real promise: its `then` may throw, or resolve with another
      // promise.
      Promise.resolve(hook).then(
        (answer) => {
          settle()
          resolve(answer)
        },
        (error: unknown) => {
          settle()
          reject(error)
        },
      )
    })
  }

  #tooLate(late: Reply): Reply {
    this.#context.report(new HookTimeoutError(), this.#session)
    return late
  }

  /**
   * Stops waiting for the hook whose time is running.
   * @param last Its answer, if the session is over; undefined if the hook was too late
   */
  giveUp(last: Reply | undefined): void {
    this.#awaited?.giveUp(last)
  }

  /** Stops waiting for all hooks. `last` is their answer. */
  giveUpAll(last: Reply): void {
    while (this.#awaited !== undefined) this.#awaited.giveUp(last)
  }

  /** Returns the reply for a hook that threw: the hook's own reply in a {@link Refusal}, and otherwise `byDefault`. */
  mishap(error: unknown, byDefault: Reply): Reply {
    // The client is the cause if a message will never be whole, so the client gets the reply to that.
    if (error instanceof MessageError) return toRefusal(error.reply) ?? byDefault
    const refusal = error instanceof Refusal ? toRefusal(error.reply) : undefined
    const reported = refusal === undefined ? error : ((error as Refusal).cause ?? error)
    this.#context.report(reported, this.#session)
    return refusal ?? byDefault
  }
}
