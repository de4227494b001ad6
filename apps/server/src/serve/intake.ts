/**
 * What the server does with mail, as options of the engine: the user's hooks first, then its own; the store keeps what
 * nobody refused; the log hears of it.
 */
import {
  ArrivalError,
  type AuthOptions,
  type Handlers,
  type Hello,
  isReply,
  type Limits,
  LIMIT_RULES,
  MessageError,
  Refusal,
  type ServerOptions,
  type Session,
  type TlsInfo,
} from '@postern/engine'
import type { Logger } from '@logtape/logtape'
import { authenticator, type Logins } from '@postern/intake/logins'
import { keep, type MailRecord, type MailStore } from '@postern/storage'
import type { Journal } from './logs/journal.ts'
import { NOTICE } from './logs/log.ts'
import type { Options } from '../config/options/options.ts'
import { canAuthenticate } from '../config/policy.ts'
import { recipientHook } from './recipients.ts'
import { peer } from './logs/refusals.ts'
import { HookError, HookWatch, messageFields, tellHook } from './logs/watch.ts'

/** What an intake works with. */
export interface IntakeParts {
  readonly options: Options
  readonly store: MailStore
  readonly log: Logger
  readonly journal: Journal
  /** Whether there is a certificate, so that STARTTLS can be. */
  readonly hasTls: boolean
  /** Decides when a login is tried. */
  readonly logins: Logins
  /** Told of each message once it is durable. */
  kept(record: MailRecord): void
}

/** Recipients of a message that its line in the log names. */
const MAX_RECIPIENTS_SHOWN = 20

/** What the parts of the intake work with. */
interface IntakeDeps extends IntakeParts {
  readonly watch: HookWatch
}

/** The engine's options. */
export function intake(parts: IntakeParts): ServerOptions {
  const { options, log, journal, hasTls } = parts
  const { handlers } = options
  const wire = log.getChild('wire')
  const watch = new HookWatch()
  const deps: IntakeDeps = { ...parts, watch }
  const hooks = watchedHooks(deps)
  return {
    hostname: options.hostname,
    banner: options.banner,
    limits: pickLimits(options),
    tls: { startTls: hasTls, required: options.tlsRequired },
    bareLineEndings: options.bareLineEndings,
    addresses: options.addresses,
    disabled: options.disabled,
    greetingDelayMs: options.greetingDelayMs,
    ...hooks,
    refused(refused, session) {
      journal.refusals.note(refused, session, watch.explain(refused, session))
      return tellHook('refused', () => handlers.refused?.(refused, session))
    },
    error(error, session) {
      if (error instanceof ArrivalError) journal.refusals.arrival(error, session)
      else journal.errors.note(error, session, watch.awaited(session))
      // An answer that comes later may be a rejection, which is the engine's to catch.
      return handlers.error?.(error instanceof HookError ? error.cause : error, session)
    },
    close(session) {
      const lost = watch.takeLostMessage(session)
      if (lost !== undefined) journal.refusals.lost(session, lost)
      return hooks.close?.(session)
    },
    data: dataHook(deps),
    ...(canAuthenticate(options) ? { auth: authOptions(deps) } : {}),
    ...(options.debug ? { trace: ({ sessionId, from, text }) => wire.debug(from, { sessionId, text }) } : {}),
  }
}

function pickLimits(options: Options): Limits {
  const names = Object.keys(LIMIT_RULES) as (keyof Limits)[]
  return Object.fromEntries(names.map((name) => [name, options[name]])) as unknown as Limits
}

type Hook = (...given: never[]) => unknown

/**
 * The user's hooks, watched; at level `debug` with an eye on the session besides. A hook that nobody needs is left out, and
 * costs nothing.
 */
function watchedHooks({ options: { handlers }, store, log, watch }: IntakeDeps): Handlers {
  const seen: Readonly<Record<string, Hook | undefined>> = log.isEnabledFor('debug') ? sessionLog(log) : {}
  const hooks: Record<string, Hook> = {}
  for (const name of ['connect', 'secure', 'hello', 'mail', 'rcpt', 'verify', 'expand', 'reset', 'close'] as const) {
    const own = handlers[name]?.bind(handlers) as Hook | undefined
    const watched =
      own && ((...given: never[]) => watch.ask(name, given.at(-1) as unknown as Session, () => own(...given)))
    const asked = name === 'rcpt' ? (recipientHook(watched as Handlers['rcpt'], store) as Hook | undefined) : watched
    const look = seen[name]
    if (asked === undefined && look === undefined) continue
    hooks[name] = (...given) => {
      look?.(...given)
      return asked?.(...given)
    }
  }
  return hooks
}

function sessionLog(log: Logger): Record<string, Hook> {
  return {
    connect: (session: Session) =>
      log.debug('connected', { sessionId: session.id, ...peer(session.remote), localPort: session.local.port }),
    secure: (tls: TlsInfo, session: Session) => log.debug('secure', { sessionId: session.id, ...tls }),
    hello: (hello: Hello, session: Session) => log.debug('hello', { sessionId: session.id, ...hello }),
    close: (session: Session) =>
      log.debug('closed', { sessionId: session.id, messagesAccepted: session.messagesAccepted }),
  }
}

function dataHook(deps: IntakeDeps): NonNullable<Handlers['data']> {
  const { options, store, log, journal, watch, kept } = deps
  const { handlers } = options
  const notices = log.getChild(NOTICE)
  const keepInStore = keep(store, {
    kept(record, session) {
      const to = record.forwardPaths.slice(0, MAX_RECIPIENTS_SHOWN)
      notices.info('message kept', {
        sessionId: session.id,
        messageId: record.id,
        from: record.reversePath.address,
        to: to.map((path) => path.address),
        recipientCount: record.forwardPaths.length,
        size: record.size,
        with: record.session.transmissionType,
        user: record.session.user,
        ...peer(session.remote),
      })
      kept(record)
    },
  })
  return async (message, session) => {
    watch.begin(message, session)
    try {
      const verdict = handlers.data && (await watch.ask('data', session, () => handlers.data?.(message, session)))
      if (isReply(verdict)) {
        watch.end(session, verdict.code < 400 ? undefined : messageFields(message))
        return verdict
      }
      if (message.size > 0) {
        const why = new Error('handlers.data read the message, so it must answer for it with a reply')
        throw new HookError('handlers.data answered wrongly', why)
      }
      watch.waitFor('the store', session)
      const answer = await keepInStore(message, session)
      watch.end(session)
      return answer
    } catch (error) {
      if (error instanceof MessageError && error.reply === undefined) {
        if (watch.isArriving(session)) journal.refusals.lost(session, messageFields(message, error.reason))
        watch.end(session)
        throw error
      }
      watch.end(session, messageFields(message, error instanceof MessageError ? error.reason : undefined))
      if (error instanceof MessageError || error instanceof Refusal || error instanceof HookError) throw error
      throw new HookError('the store threw', error)
    }
  }
}

function authOptions({ options, log, logins, watch }: IntakeDeps): AuthOptions {
  const { handlers } = options
  const own = handlers.authenticate?.bind(handlers)
  const authenticate = authenticator({
    ...options,
    handlers: own ? { authenticate: (...given) => watch.ask('authenticate', given[1], () => own(...given)) } : {},
    logins,
  })
  return {
    mechanisms: options.authMechanisms,
    required: options.authRequired,
    allowWithoutTls: options.authWithoutTls,
    async authenticate(credentials, session) {
      const facts = { user: credentials.username, mechanism: credentials.mechanism }
      watch.login(session, facts)
      watch.waitFor('the password check', session)
      const { answer, reason } = await authenticate(credentials, session)
      watch.waitFor(undefined, session)
      if (answer !== undefined && 'user' in answer) {
        watch.login(session, undefined)
        log.debug('login', { sessionId: session.id, ...facts, ...peer(session.remote) })
      } else if (reason !== undefined) {
        watch.login(session, { ...facts, reason })
      }
      return answer
    },
  }
}
