/** Runs hooks, and waits for them. */
import { LOCAL_ERROR } from '../protocol/grammar/replies.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { Context } from './context.ts'
import type { Verdict } from './handlers.ts'
import { MessageError, Refusal } from './session/message.ts'
import type { Session } from './session/session.ts'
import { checked, isPromiseLike } from './verdict.ts'
import type { Waits } from './waits.ts'
import type { Wire } from './wire.ts'

/**
 * A hook that is waited for. Between two chunks, one is asked while that for the message waits; and either may answer first,
 * as either may be asked first: the message's may read before it is waited for.
 */
interface AwaitedHook {
  /** The one that was waited for before. */
  readonly before: AwaitedHook | undefined
  isOver: boolean
  giveUp(last: Reply | undefined): void
}

/** A hook did not answer within `hookTimeoutMs`. It goes to `error`. */
export class HookTimeoutError extends Error {
  override readonly name = 'HookTimeoutError'
  constructor() {
    super('timed out: a hook has not answered')
  }
}

/** Runs hooks: at once where they answer at once, and within their time where they do not. */
export class Hooks {
  readonly #wire: Wire
  readonly #waits: Waits
  readonly #context: Context
  readonly #session: Session
  /** The hook whose time runs. */
  #awaited: AwaitedHook | undefined

  constructor(wire: Wire, waits: Waits, context: Context, session: Session) {
    this.#wire = wire
    this.#waits = waits
    this.#context = context
    this.#session = session
  }

  /** Runs a hook. Never throws and never rejects: what goes wrong is reported and becomes its reply. */
  ask(call: () => Verdict | Promise<Verdict>): Verdict | Promise<Verdict> {
    try {
      const verdict = call()
      return isPromiseLike(verdict) ? this.#later(verdict) : checked(verdict)
    } catch (error) {
      return this.mishap(error, LOCAL_ERROR)
    }
  }

  async #later(verdict: PromiseLike<Verdict>): Promise<Verdict> {
    try {
      return checked(await this.bounded(verdict, LOCAL_ERROR))
    } catch (error) {
      return this.mishap(error, LOCAL_ERROR)
    }
  }

  /**
   * Waits for a hook's answer, and not longer than it may take: then the answer is `late`. No reply waits with it: what is there
   * is sent first (RFC 2920 3.2).
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
      // Of what is no promise: it may throw, or answer with another.
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

  /** Waits no more for the hook whose time runs. @param last Its answer, if it is not too late but the session over */
  giveUp(last: Reply | undefined): void {
    this.#awaited?.giveUp(last)
  }

  /** Waits for no hook any more: `last` is their answer. */
  giveUpAll(last: Reply): void {
    while (this.#awaited !== undefined) this.#awaited.giveUp(last)
  }

  /** What the client is told of a hook that threw: the hook's own words in a {@link Refusal}, and otherwise `byDefault`. */
  mishap(error: unknown, byDefault: Reply): Reply {
    // That a message will never be whole is the client's doing, and is answered as such.
    if (error instanceof MessageError) return error.reply ?? byDefault
    this.#context.report(error instanceof Refusal ? (error.cause ?? error) : error, this.#session)
    return error instanceof Refusal ? error.reply : byDefault
  }
}
