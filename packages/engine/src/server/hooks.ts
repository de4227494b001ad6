/** What hooks answer, and what their answers are taken for. */
import { LOCAL_ERROR } from '../protocol/grammar/replies.ts'
import { type Reply, isReply, reply } from '../protocol/grammar/reply.ts'
import type { Verdict } from './handlers.ts'
import { MessageError, Refusal } from './session/message.ts'
import type { Context } from './server.ts'
import type { Session } from './session/session.ts'
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

export function isRefusal(verdict: Verdict): verdict is Reply {
  return verdict !== undefined && verdict.code >= 400
}

export function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as PromiseLike<T> | null | undefined)?.then === 'function'
}

/** RFC 2034 4: after the greeting and EHLO, every reply of 2xx, 4xx and 5xx has an enhanced code. */
export function enhanced(given: Reply): Reply {
  return given.enhancedCode === '' ? reply(given.code, `${Math.floor(given.code / 100)}.0.0`, given.lines) : given
}

/** A mistaken answer must not pass for consent. */
function checked(verdict: unknown): Verdict {
  if (verdict === undefined) return undefined
  if (isReply(verdict) && (verdict.code < 300 || verdict.code >= 400)) return verdict
  throw new TypeError('a hook answers with nothing or with a Reply of 2xx, 4xx or 5xx')
}
