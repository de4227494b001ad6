/**
 * Makes the engine's options for receiving mail. The engine asks the user's hooks first, then the guards. The store
 * keeps a message that nobody refused. The observer is told of everything.
 */
import {
  ArrivalError,
  type AuthOptions,
  type ForwardPath,
  type Handlers,
  isReply,
  MessageError,
  Refusal,
  type Session,
} from '@postern/engine'
import { type ContentOptions, keep, type MailStore } from '@postern/storage'
import { authOptions, type IntakeAuth } from './auth.ts'
import { askGuards, type Guard, GUARD_HOOKS } from './guard.ts'
import type { IntakeHandlers } from './handlers.ts'
import { mailboxesGuard } from './guards/mailboxes.ts'
import { droppedEntry, type Observer } from './observe.ts'
import { isSentOn, type Onward, share, sharesOf } from './onward.ts'
import { completed, type SubmissionOptions } from './submission.ts'
import type { HeldMessage, MessageVerification } from './verification/verification.ts'
import { guardHook, handlersHook, HookError, HookWatch, messageFields, tellHook, type WatchedHook } from './watch.ts'

export interface IntakeOptions {
  readonly store: MailStore
  /**
   * The user's own hooks. If one refuses, the client is refused. After any other answer the guards are asked. If `data` reads the
   * message, it must answer, and the store does not keep the message.
   */
  readonly handlers?: IntakeHandlers
  /** How long `handlers.kept` may take. Default 10 seconds. */
  readonly keptTimeoutMs?: number
  /** The summary of each message, and its attachments. Default: neither is looked for. */
  readonly contents?: ContentOptions
  /** Guards that find out about the client. They are asked before the observer and the user's hooks, which then see it. */
  readonly firstGuards?: readonly Guard[]
  /** The engine asks them in this order. The observer learns the name of the one that refuses, throws or is late. */
  readonly guards?: readonly Guard[]
  readonly observer?: Observer
  /** If it is missing, nobody can log in. */
  readonly auth?: IntakeAuth
  /** Completes the messages of users who have logged in. Default: they are kept as they are sent. */
  readonly submission?: SubmissionOptions
  /** Finds out who sent each message, before the `data` hook and the store see it. Default: nobody does. */
  readonly verification?: MessageVerification
  /** Takes mail for recipients that a guard has marked with `isElsewhere`. */
  readonly onward?: Onward
}

/** Hooks of the engine, and its AUTH. */
export interface IntakeHooks extends Handlers {
  readonly auth?: AuthOptions
}

/** What the parts of an intake share. */
interface IntakeDeps {
  readonly store: MailStore
  readonly handlers: IntakeHandlers
  readonly observer: Observer
  readonly watch: HookWatch
  readonly keptTimeoutMs: number | undefined
  readonly contents: ContentOptions | undefined
  readonly submission: SubmissionOptions | undefined
  readonly verification: MessageVerification | undefined
  readonly onward: Onward | undefined
  /** Reports a failure. */
  failed(error: unknown, session: Session): unknown
}

/** A message is two blobs. The store must write both, or fail, while the engine still waits for the hook. */
const SHARE_OF_HOOK_TIME = 0.4
const MAX_DEADLINE_MS = 60_000
const KEPT_SHARE = 0.1
const MAX_KEPT_MS = 10_000

const DATA = handlersHook('data')
const KEPT = handlersHook('kept')

/** Returns how long a store may take for one blob, if the engine waits `hookTimeoutMs` for a hook. */
export function storeDeadlineMs(hookTimeoutMs: number): number {
  return Math.max(1, Math.min(MAX_DEADLINE_MS, hookTimeoutMs * SHARE_OF_HOOK_TIME))
}

/** Returns how long `handlers.kept` may take after the store, if the engine waits `hookTimeoutMs` for both. */
export function keptTimeoutMs(hookTimeoutMs: number): number {
  return Math.max(1, Math.min(MAX_KEPT_MS, hookTimeoutMs * KEPT_SHARE))
}

/** Makes the engine's hooks, and its AUTH if `auth` is given. */
export function intake(options: IntakeOptions): IntakeHooks {
  const {
    submission,
    verification,
    onward,
    store,
    handlers = {},
    firstGuards = [],
    guards = [],
    observer = {},
    auth,
    keptTimeoutMs,
    contents,
  } = options
  const watch = new HookWatch()
  const error = (given: unknown, session: Session | undefined): unknown => {
    if (given instanceof ArrivalError) observer.arrivalFailed?.(given, session)
    else observer.failed?.(given, session, watch.awaited(session))
    // The answer goes back to the engine, which catches a rejection.
    return handlers.error?.(given instanceof HookError ? given.cause : given, session)
  }
  const deps: IntakeDeps = {
    store,
    handlers,
    observer,
    watch,
    keptTimeoutMs,
    contents,
    submission,
    verification,
    onward,
    failed: error,
  }
  const mailboxes = mailboxesGuard(store)
  const watchedGuard = (guard: Guard): Guard => watched(watch, guard, (hook) => guardHook(guard.name, hook))
  const all = [
    ...firstGuards.map(watchedGuard),
    observing(observer),
    watched(watch, handlers, handlersHook),
    ...guards.map(watchedGuard),
    ...(mailboxes === undefined ? [] : [mailboxes]),
  ]
  const hooks = askGuards(all)
  return {
    ...hooks,
    refused(command, session) {
      observer.refused?.(command, session, watch.explain(command, session))
      return hooks.refused?.(command, session)
    },
    error,
    close(session) {
      const lost = watch.takeLostMessage(session)
      if (lost !== undefined) observer.lost?.(lost, session)
      return hooks.close?.(session)
    },
    data: dataHook(deps),
    ...(auth === undefined ? {} : { auth: authOptions(observer, watch, auth) }),
  }
}

/** The engine does not see this promise, so nobody else would catch its rejection. */
function ignoreRejection(answer: unknown): void {
  void Promise.resolve(answer).catch(() => {})
}

/** Makes a guard that tells the observer of each step of a session. It never refuses. */
function observing(observer: Observer): Guard {
  return {
    name: 'observer',
    ...(observer.connected && { connect: (session) => void observer.connected?.(session) }),
    ...(observer.secured && { secure: (tls, session) => void observer.secured?.(tls, session) }),
    ...(observer.greeted && { hello: (hello, session) => void observer.greeted?.(hello, session) }),
    ...(observer.closed && { close: (session) => void observer.closed?.(session) }),
  }
}

/** Makes a guard that asks this one and watches it. */
function watched(watch: HookWatch, guard: Omit<Guard, 'name'>, describe: (hook: string) => WatchedHook): Guard {
  type Hook = (...given: never[]) => unknown
  const hooks: Record<string, Hook> = {}
  for (const name of GUARD_HOOKS) {
    const own = guard[name]?.bind(guard) as Hook | undefined
    if (own === undefined) continue
    const hook = describe(name)
    // The session is the last argument of every hook. `refused` may have none.
    hooks[name] =
      name === 'refused'
        ? (...given) => tellHook(hook, () => own(...given))
        : (...given) => watch.ask(hook, given.at(-1) as never, () => own(...given))
  }
  return { name: 'watched', ...hooks }
}

function isDropped({ handling }: ForwardPath): boolean {
  return handling !== undefined && !handling.keeps && !isSentOn(handling)
}

/** The quarantine may be a store of Maildirs although the store of the mail is not. */
function contentsIn({ attachments }: MailStore, contents: ContentOptions | undefined): ContentOptions {
  return { ...contents, ...(attachments === undefined && { attachments: 'inside' }) }
}

function dataHook({
  store,
  handlers,
  observer,
  submission,
  verification,
  onward,
  watch,
  ...deps
}: IntakeDeps): NonNullable<Handlers['data']> {
  const keepIn = (place: MailStore, contents = deps.contents): ReturnType<typeof keep> =>
    keep(place, {
      ...contents,
      kept(record, session) {
        observer.kept?.(record, session)
        return handlers.kept && watch.ask(KEPT, session, () => handlers.kept?.(record, session))
      },
      ...(deps.keptTimeoutMs !== undefined && { keptTimeoutMs: deps.keptTimeoutMs }),
      keptFailed: (error, _, session) => ignoreRejection(deps.failed(error, session)),
    })
  const keepInStore = keepIn(store)
  const keepInQuarantine =
    verification?.quarantine && keepIn(verification.quarantine, contentsIn(verification.quarantine, deps.contents))
  return async (message, session) => {
    watch.begin(message, session)
    let held: HeldMessage | undefined
    try {
      if (verification !== undefined) {
        watch.waitFor('the verdicts', session)
        const found = await verification.verify(message, session)
        watch.waitFor(undefined, session)
        if (isReply(found)) {
          watch.end(session, messageFields(message, 'verdicts'))
          return found
        }
        held = found
      }
      const given = held?.message ?? message
      const verdict = handlers.data && (await watch.ask(DATA, session, () => handlers.data?.(given, session)))
      if (verdict !== undefined) {
        const isKept = [verdict].flat().some(({ code }) => code < 400)
        watch.end(session, isKept ? undefined : messageFields(message))
        return verdict
      }
      if (given.size > 0) {
        const why = new Error(
          "a data hook that reads the message must answer for it: return reply(250, '2.0.0', 'OK') once the message is kept " +
            'elsewhere, or a refusal; a hook that does not read leaves the message to the store',
        )
        throw new HookError('handlers.data gave an invalid answer', why)
      }
      watch.waitFor('the store', session)
      const isSubmitted = submission !== undefined && session.user !== undefined
      const whole = isSubmitted ? await completed(given, session, submission) : given
      const isQuarantined = held?.message.verdicts.isQuarantined === true
      const shares = isQuarantined ? undefined : sharesOf(message.envelope)
      const keepWhole = isQuarantined && keepInQuarantine !== undefined ? keepInQuarantine : keepInStore
      const answer =
        shares === undefined
          ? await keepWhole(whole, session)
          : await share(shares, onward, {
              message: whole,
              session,
              keep: keepInStore,
              arrival: held?.message.arrival,
            })
      const dropped = message.envelope.forwardPaths.filter(isDropped)
      if (dropped.length > 0) observer.dropped?.(droppedEntry(message, dropped, session), session)
      watch.end(session)
      return answer
    } catch (error) {
      if (error instanceof MessageError && error.reply === undefined) {
        if (watch.isArriving(session)) observer.lost?.(messageFields(message, error.reason), session)
        watch.end(session)
        throw error
      }
      watch.end(session, messageFields(message, error instanceof MessageError ? error.reason : undefined))
      if (error instanceof MessageError || error instanceof Refusal || error instanceof HookError) throw error
      throw new HookError('the store threw', error)
    } finally {
      await held?.close()
    }
  }
}
