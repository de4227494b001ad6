/**
 * Watches the user's hooks, the guards and the store, so that the log can name the one that threw, is late, or refused.
 */
import {
  acrossCopies,
  explainAnswer,
  isPromiseLike,
  isReply,
  type Message,
  MessageError,
  Refusal,
  type RefusedCommand,
  type Session,
} from '@postern/engine'
import type { Explanation, Fields } from './observe.ts'

/** A user's hook, a guard, or a store, threw or gave an invalid answer. `cause` is the error. */
export class HookError extends Error {
  static {
    acrossCopies(this, 'HookError')
  }
  override readonly name = 'HookError'
  /** @param message `handlers.rcpt threw` */
  constructor(message: string, cause: unknown) {
    super(message, { cause })
  }
}

/** A hook of the user's `handlers`, or of a guard. */
export interface WatchedHook {
  /** Its name in the engine: `rcpt`. */
  readonly name: string
  /** Its name in messages: `handlers.rcpt`, `guards.greylist.rcpt`. */
  readonly label: string
  /** The log fields of what it refuses. */
  readonly refusedBy: Fields
}

export function handlersHook(name: string): WatchedHook {
  return { name, label: `handlers.${name}`, refusedBy: { hook: name } }
}

export function guardHook(guard: string, name: string): WatchedHook {
  return { name, label: `guards.${guard}.${name}`, refusedBy: { guard } }
}

/** A method of the user's own accounts. */
export function accountsHook(name: string): WatchedHook {
  return { name: ACCOUNTS_PREFIX + name, label: `accounts.${name}`, refusedBy: { hook: `accounts.${name}` } }
}

/** The hooks that a session is waiting for now, and what is known for its next refusal. */
interface Activity {
  /** The user's hooks that the session is waiting for. The one that was asked last is last. */
  readonly awaited: string[]
  /** The part of the server that the session is waiting for: the store, or the password check. */
  part: string | undefined
  /** The message that is arriving. */
  message: Message | undefined
  /** The login, the refused message and who refused. They are kept until the engine reports the refusal. */
  login: Fields | undefined
  lostMessage: Fields | undefined
  refusedBy: Fields | undefined
}

/** The engine checks what methods of accounts answer, because each answers in its own way. */
const ACCOUNTS_PREFIX = 'accounts.'
const NO_FIELDS: Fields = {}
/** Answers that are valid, of hooks other than those that answer with a Reply or nothing. */
const VALID_ANSWERS: Readonly<Record<string, string>> = {
  data: 'a Reply of 2xx, 4xx or 5xx, a list with one for each recipient, or nothing',
  authenticate: '{ user }, a Reply of 4xx or 5xx, or nothing',
  kept: 'nothing: the message is stored, and the client gets 250',
}
/** Hooks whose answer nobody uses. */
const IGNORED_ANSWERS: ReadonlySet<string> = new Set(['reset', 'close'])

export class HookWatch {
  readonly #activities = new WeakMap<Session, Activity>()

  /** Calls a hook. @throws HookError, Refusal */
  ask<T>(hook: WatchedHook, session: Session, call: () => T): T {
    let answer: T
    let isLate: boolean
    try {
      answer = call()
      isLate = isPromiseLike(answer)
    } catch (error) {
      throw this.#failure(hook, session, error)
    }
    if (!isLate) return this.#noteAnswer(hook, session, answer)
    const { awaited } = this.#of(session)
    awaited.push(hook.label)
    const late = Promise.resolve(answer).then(
      (value) => {
        remove(awaited, hook.label)
        return this.#noteAnswer(hook, session, value)
      },
      (error: unknown) => {
        remove(awaited, hook.label)
        throw this.#failure(hook, session, error)
      },
    )
    return late as T
  }

  /** Returns what the session is waiting for: a hook, or a part of the server. */
  awaited(session: Session | undefined): string | undefined {
    const activity = session === undefined ? undefined : this.#activities.get(session)
    return activity?.awaited.at(-1) ?? activity?.part
  }

  /** Notes that a message begins to arrive. */
  begin(message: Message, session: Session): void {
    this.#of(session).message = message
  }

  /** Notes the part of the server that the session waits for from now on. undefined means none. */
  waitFor(part: string | undefined, session: Session): void {
    this.#of(session).part = part
  }

  /** Notes the end of the message. If the engine will refuse it, `lostMessage` has the fields for the log. */
  end(session: Session, lostMessage?: Fields): void {
    const activity = this.#of(session)
    activity.part = undefined
    activity.message = undefined
    activity.lostMessage = lostMessage
  }

  /** Notes that a login is tried. `fields` is undefined after it has succeeded. */
  login(session: Session, fields: Fields | undefined): void {
    this.#of(session).login = fields
  }

  /** Notes how a login ended that failed. */
  ended(session: Session, fields: Fields): void {
    const activity = this.#activities.get(session)
    if (activity?.login !== undefined) activity.login = { ...activity.login, ...fields }
  }

  /** Returns what is known about a refusal that the engine reports. */
  explain({ verb, reply, byHook, forwardPath }: RefusedCommand, session: Session | undefined): Explanation | undefined {
    const activity = session === undefined ? undefined : this.#activities.get(session)
    if (activity === undefined) return undefined
    const { login, lostMessage, message, refusedBy } = activity
    const by = byHook && refusedBy !== undefined ? refusedBy : NO_FIELDS
    // A hook that refuses several recipients of one message is asked once.
    if (forwardPath === undefined) activity.refusedBy = undefined
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
    // 421 ends the session, so the message is lost.
    if (reply.code === 421 && message !== undefined) {
      activity.message = undefined
      return { message: 'message refused', fields: messageFields(message) }
    }
    return { fields: by }
  }

  /** Takes the fields of a refused message that the engine has not reported, because the client has disconnected. */
  takeLostMessage(session: Session): Fields | undefined {
    const activity = this.#activities.get(session)
    const fields = activity?.lostMessage
    if (activity !== undefined) activity.lostMessage = undefined
    return fields
  }

  /** Returns whether a message is arriving, and the log has nothing about its end yet. */
  isArriving(session: Session): boolean {
    return this.#activities.get(session)?.message !== undefined
  }

  #noteAnswer<T>(hook: WatchedHook, session: Session, answer: T): T {
    const { name, label } = hook
    let problem: unknown
    try {
      if (!name.startsWith(ACCOUNTS_PREFIX) && !isAnswer(name, answer))
        problem = new TypeError(explainAnswer(answer, VALID_ANSWERS[name]))
    } catch (error) {
      // A getter of the answer threw.
      problem = error ?? new TypeError('the answer cannot be read')
    }
    if (problem !== undefined) throw new HookError(`${label} gave an invalid answer`, problem)
    if (repliesOf(answer).some(isRefusal)) this.#noteRefusal(hook, session)
    return answer
  }

  /** Returns the error to throw instead of the hook's own, which may be any value. */
  #failure(hook: WatchedHook, session: Session, error: unknown): unknown {
    if (error instanceof MessageError) return error
    // `kept` can't refuse, and neither can a Refusal with another reply.
    if (!(error instanceof Refusal) || !isRefusal(error.reply) || hook.name === 'kept')
      return new HookError(`${hook.label} threw`, error)
    this.#noteRefusal(hook, session)
    if (error.cause === undefined) return error
    return new Refusal(error.reply, { cause: new HookError(`${hook.label} failed`, error.cause) })
  }

  #noteRefusal({ name, refusedBy }: WatchedHook, session: Session): void {
    if (!IGNORED_ANSWERS.has(name)) this.#of(session).refusedBy = refusedBy
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
      refusedBy: undefined,
    }
    this.#activities.set(session, activity)
    return activity
  }
}

/** Calls a hook whose answer nobody uses. @throws HookError */
export function tellHook({ label }: WatchedHook, call: () => unknown): unknown {
  const failure = (error: unknown): HookError => new HookError(`${label} threw`, error)
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

/** Makes the log fields of a message that was not kept. */
export function messageFields(message: Message, reason?: string): Fields {
  return { messageId: message.id, reason, from: message.envelope.reversePath.address, size: message.size }
}

/** Returns the replies of an answer: the `data` hook may give a list. */
function repliesOf(answer: unknown): readonly unknown[] {
  return Array.isArray(answer) ? answer : [answer]
}

function isRefusal(answer: unknown): boolean {
  return isReply(answer) && answer.code >= 400
}

/** Returns whether the answer is valid for this hook. */
function isAnswer(name: string, answer: unknown): boolean {
  if (answer === undefined) return true
  if (name === 'data' && Array.isArray(answer)) return answer.every((one) => one !== undefined && isAnswer('', one))
  // The message is stored already, so `kept` can't refuse. What else it returns does not matter.
  if (name === 'kept') return !isReply(answer)
  if (isReply(answer)) return answer.code < 300 || answer.code >= 400
  const user = (answer as { readonly user?: unknown } | null)?.user
  return name === 'authenticate' && typeof user === 'string' && user !== ''
}

function remove(list: string[], item: string): void {
  const at = list.lastIndexOf(item)
  if (at >= 0) list.splice(at, 1)
}
