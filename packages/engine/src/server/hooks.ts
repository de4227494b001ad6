/** Runs hooks, and waits for them. */
import { LOCAL_ERROR } from '../protocol/grammar/replies.ts'
import type { Reply } from '../protocol/grammar/reply.ts'
import type { Verdict } from './handlers.ts'
import { MessageError, Refusal } from './session/message.ts'
import type { Context } from './context.ts'
import type { Session } from './session/session.ts'
import { checked, isPromiseLike } from './verdict.ts'
import type { Wire } from './wire.ts'

/** Runs hooks: at once where they answer at once, and within their time where they do not. */
export class Hooks {
  readonly #wire: Wire
  readonly #context: Context
  readonly #session: Session

  constructor(wire: Wire, context: Context, session: Session) {
    this.#wire = wire
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

  /** Waits for a hook's answer, and not longer than it may take: then the answer is `late`. */
  bounded<T>(hook: PromiseLike<T>, late: Reply): Promise<T | Reply> {
    return this.#wire.waitForHook(hook, () => {
      this.#context.report(new Error('timed out: a hook has not answered'), this.#session)
      return late
    })
  }

  /** What the client is told of a hook that threw: the hook's own words in a {@link Refusal}, and otherwise `byDefault`. */
  mishap(error: unknown, byDefault: Reply): Reply {
    // That a message will never be whole is the client's doing, and is answered as such.
    if (error instanceof MessageError) return error.reply ?? byDefault
    this.#context.report(error instanceof Refusal ? (error.cause ?? error) : error, this.#session)
    return error instanceof Refusal ? error.reply : byDefault
  }
}
