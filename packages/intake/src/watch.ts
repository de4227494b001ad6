/**
 * Watches the user's hooks and the store, so that the log can say which one threw, which one is late and which one refused.
 */
import { isReply, type Message, MessageError, Refusal, type RefusedCommand, type Session } from '@postern/engine'
import type { Explanation, Fields } from './observe.ts'

/** A hook of the user's, or a store, did what it must not; `cause` is what it threw. */
export class HookError extends Error {
  override readonly name = 'HookError'
  /** @param message `handlers.rcpt threw` */
  constructor(message: string, cause: unknown) {
    super(message, { cause })
  }
}

/** What a session does now, as far as its hooks are concerned. */
interface Activity {
  /** The user's hooks that are awaited; the one that was asked last is at the end. */
  readonly awaited: string[]
  /** The part of the server that is awaited: the store, the password check. */
  part: string | undefined
  /** The message that arrives. */
  message: Message | undefined
  /** The login that is tried, the message that is refused and the hook that refused, until the engine tells of the refusal. */
  login: Fields | undefined
  lostMessage: Fields | undefined
  hook: string | undefined
}

const NO_FIELDS: Fields = {}
/** Hooks whose answer goes to nobody. */
const IGNORED_ANSWERS: ReadonlySet<string> = new Set(['reset', 'close'])

export class HookWatch {
  readonly #activities = new WeakMap<Session, Activity>()

  /** Calls a hook of the user's. @throws HookError, Refusal */
  ask<T>(name: string, session: Session, call: () => T): T {
    const what = `handlers.${name}`
    let answer: T
    try {
      answer = call()
    } catch (error) {
      throw this.#failure(name, session, error)
    }
    if (!isPromiseLike(answer)) return this.#noteAnswer(name, session, answer)
    const { awaited } = this.#of(session)
    awaited.push(what)
    const late = Promise.resolve(answer).then(
      (value) => {
        remove(awaited, what)
        return this.#noteAnswer(name, session, value)
      },
      (error: unknown) => {
        remove(awaited, what)
        throw this.#failure(name, session, error)
      },
    )
    return late as T
  }

  /** What the session waits for: a hook, or the store. */
  awaited(session: Session | undefined): string | undefined {
    const activity = session === undefined ? undefined : this.#activities.get(session)
    return activity?.awaited.at(-1) ?? activity?.part
  }

  /** A message begins to arrive. */
  begin(message: Message, session: Session): void {
    this.#of(session).message = message
  }

  /** A part of the server itself is to answer from here on, or none. */
  waitFor(part: string | undefined, session: Session): void {
    this.#of(session).part = part
  }

  /** The message is over: stored, or to be refused if fields for the line about it are given. */
  end(session: Session, lostMessage?: Fields): void {
    const activity = this.#of(session)
    activity.part = undefined
    activity.message = undefined
    activity.lostMessage = lostMessage
  }

  /** A login is tried; undefined once it has succeeded. */
  login(session: Session, fields: Fields | undefined): void {
    this.#of(session).login = fields
  }

  /** What is known of a refusal that the engine tells of. */
  explain({ verb, reply, byHook }: RefusedCommand, session: Session | undefined): Explanation | undefined {
    const activity = session === undefined ? undefined : this.#activities.get(session)
    if (activity === undefined) return undefined
    const { login, lostMessage, message, hook } = activity
    const by = byHook && hook !== undefined ? { hook } : NO_FIELDS
    activity.hook = undefined
    if (verb === 'AUTH' && login !== undefined) {
      activity.login = undefined
      return {
        message: 'login refused',
        common: { user: login['user'], reason: login['reason'] },
        fields: { ...login, ...by },
      }
    }
    if ((verb === 'DATA' || verb === 'BDAT') && lostMessage !== undefined) {
      activity.lostMessage = undefined
      return { message: 'message refused', fields: { ...lostMessage, ...by } }
    }
    // The session ends, and the message with it.
    if (reply.code === 421 && message !== undefined) {
      activity.message = undefined
      return { message: 'message refused', fields: messageFields(message) }
    }
    return { fields: by }
  }

  /** Takes what is known of a message that is to be refused, of which the engine has not told: its client has left. */
  takeLostMessage(session: Session): Fields | undefined {
    const activity = this.#activities.get(session)
    const fields = activity?.lostMessage
    if (activity !== undefined) activity.lostMessage = undefined
    return fields
  }

  /** Whether a message arrives of whose end the log has not said anything. */
  isArriving(session: Session): boolean {
    return this.#activities.get(session)?.message !== undefined
  }

  #noteAnswer<T>(name: string, session: Session, answer: T): T {
    if (!isAnswer(name, answer)) {
      const allowed =
        name === 'authenticate'
          ? '{ user }, a Reply of 4xx or 5xx, or nothing'
          : 'a Reply of 2xx, 4xx or 5xx, or nothing'
      throw new HookError(`handlers.${name} gave an invalid answer`, new TypeError(`a valid answer is ${allowed}`))
    }
    if (isReply(answer) && answer.code >= 400) this.#noteRefusal(name, session)
    return answer
  }

  /** What to throw in the place of what a hook threw, which may not be an object. */
  #failure(name: string, session: Session, error: unknown): unknown {
    if (error instanceof MessageError) return error
    if (!(error instanceof Refusal)) return new HookError(`handlers.${name} threw`, error)
    this.#noteRefusal(name, session)
    if (error.cause === undefined) return error
    return new Refusal(error.reply, { cause: new HookError(`handlers.${name} failed`, error.cause) })
  }

  #noteRefusal(name: string, session: Session): void {
    if (!IGNORED_ANSWERS.has(name)) this.#of(session).hook = name
  }

  #of(session: Session): Activity {
    const known = this.#activities.get(session)
    if (known !== undefined) return known
    const activity: Activity = {
      awaited: [],
      part: undefined,
      message: undefined,
      login: undefined,
      lostMessage: undefined,
      hook: undefined,
    }
    this.#activities.set(session, activity)
    return activity
  }
}

/** Calls a hook of the user's whose answer nobody waits for. @throws HookError */
export function tellHook(name: string, call: () => unknown): unknown {
  const failure = (error: unknown): HookError => new HookError(`handlers.${name} threw`, error)
  try {
    const told = call()
    if (!isPromiseLike(told)) return told
    return told.then(undefined, (error: unknown) => {
      throw failure(error)
    })
  } catch (error) {
    throw failure(error)
  }
}

/** What a log says of a message that was not kept. */
export function messageFields(message: Message, reason?: string): Fields {
  return { messageId: message.id, reason, from: message.envelope.reversePath.address, size: message.size }
}

/** Whether a hook may answer so. Of `data`, whoever calls it looks. */
function isAnswer(name: string, answer: unknown): boolean {
  if (answer === undefined || name === 'data') return true
  if (isReply(answer)) return answer.code < 300 || answer.code >= 400
  const user = (answer as { readonly user?: unknown } | null)?.user
  return name === 'authenticate' && typeof user === 'string' && user !== ''
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}

function remove(list: string[], item: string): void {
  const at = list.lastIndexOf(item)
  if (at >= 0) list.splice(at, 1)
}
