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
  type Message,
  MessageError,
  type Reply,
  type ServerOptions,
  type Session,
  type TlsInfo,
} from '@postern/engine'
import type { Logger } from '@logtape/logtape'
import { isStorageError, keep, type MailRecord, type MailStore } from '@postern/storage'
import { authenticator } from './accounts/authenticator.ts'
import type { Logins } from './accounts/logins.ts'
import type { ConfigHandlers } from './config.ts'
import { NOTICE } from './log.ts'
import type { Options } from './options.ts'
import { canAuthenticate } from './policy.ts'
import { recipientHook } from './recipients.ts'

/** What an intake works with. */
export interface IntakeParts {
  readonly options: Options
  readonly store: MailStore
  readonly log: Logger
  /** Whether there is a certificate, so that STARTTLS can be. */
  readonly hasTls: boolean
  /** Decides when a login is tried. */
  readonly logins: Logins
  /** Told of each message once it is durable. */
  kept(record: MailRecord): void
}

/** The engine's options. */
export function intake({ options, store, log, hasTls, logins, kept }: IntakeParts): ServerOptions {
  const { handlers } = options
  const wire = log.getChild('wire')
  return {
    hostname: options.hostname,
    banner: options.banner,
    limits: pickLimits(options),
    tls: { startTls: hasTls, required: options.tlsRequired },
    bareLineEndings: options.bareLineEndings,
    addresses: options.addresses,
    disabled: options.disabled,
    greetingDelayMs: options.greetingDelayMs,
    ...watchedHooks(handlers, recipientHook(handlers, store), log),
    error(error, session) {
      if (error instanceof ArrivalError) noteArrival(log, error)
      // Said once as an error, when it was noticed.
      else if (isStorageError(error, 'lost'))
        log.info('put off', { sessionId: session?.id, reason: error.message, ...(session && peer(session)) })
      else log.error('a hook failed, or a connection broke', { sessionId: session?.id, error })
      // An answer that comes later may be a rejection, which is the engine's to catch.
      return handlers.error?.(error, session)
    },
    data: dataHook(handlers, store, log, kept),
    ...(canAuthenticate(options) ? { auth: authOptions(options, logins, log) } : {}),
    ...(options.debug ? { trace: ({ sessionId, from, text }) => wire.debug(from, { sessionId, text }) } : {}),
  }
}

function pickLimits(options: Options): Limits {
  const names = Object.keys(LIMIT_RULES) as (keyof Limits)[]
  return Object.fromEntries(names.map((name) => [name, options[name]])) as unknown as Limits
}

type Hook = (...given: never[]) => unknown

/**
 * The user's hooks, their refusals logged; at level `debug` with an eye on the session besides. A hook that nobody needs
 * is left out, and costs nothing.
 */
function watchedHooks(handlers: ConfigHandlers, rcpt: Handlers['rcpt'], log: Logger): Handlers {
  const seen: Readonly<Record<string, Hook | undefined>> = log.isEnabledFor('debug') ? sessionLog(log) : {}
  const hooks: Record<string, Hook> = {}
  for (const name of ['connect', 'secure', 'hello', 'mail', 'rcpt', 'verify', 'expand', 'reset', 'close'] as const) {
    const own = (name === 'rcpt' ? rcpt : handlers[name]?.bind(handlers)) as Hook | undefined
    const look = seen[name]
    if (own === undefined && look === undefined) continue
    hooks[name] = (...given) => {
      look?.(...given)
      const session = given.at(-1) as unknown as Session
      return whenAnswered(own?.(...given), (answer) => noteRefusal(log, name, answer, session))
    }
  }
  return hooks
}

function sessionLog(log: Logger): Record<string, Hook> {
  return {
    connect: (session: Session) =>
      log.debug('connected', { sessionId: session.id, ...peer(session), localPort: session.local.port }),
    secure: (tls: TlsInfo, session: Session) => log.debug('secure', { sessionId: session.id, ...tls }),
    hello: (hello: Hello, session: Session) => log.debug('hello', { sessionId: session.id, ...hello }),
    close: (session: Session) =>
      log.debug('closed', { sessionId: session.id, messagesAccepted: session.messagesAccepted }),
  }
}

function dataHook(
  handlers: ConfigHandlers,
  store: MailStore,
  log: Logger,
  kept: (record: MailRecord) => void,
): NonNullable<Handlers['data']> {
  const notices = log.getChild(NOTICE)
  const keepInStore = keep(store, {
    kept(record, session) {
      notices.info('message kept', {
        sessionId: session.id,
        messageId: record.id,
        from: record.reversePath.address,
        to: record.forwardPaths.map((path) => path.address),
        size: record.size,
        with: record.session.transmissionType,
        user: record.session.user,
        ...peer(session),
      })
      kept(record)
    },
  })
  return async (message, session) => {
    try {
      const verdict = await handlers.data?.(message, session)
      if (isReply(verdict)) {
        noteRefusal(log, 'data', verdict, session)
        return verdict
      }
      if (message.size > 0) throw new Error('handlers.data read the message, so it must answer for it with a reply')
      return await keepInStore(message, session)
    } catch (error) {
      if (error instanceof MessageError) noteLoss(log, error, message, session)
      throw error
    }
  }
}

function authOptions(options: Options, logins: Logins, log: Logger): AuthOptions {
  const authenticate = authenticator({ ...options, logins })
  return {
    mechanisms: options.authMechanisms,
    required: options.authRequired,
    allowWithoutTls: options.authWithoutTls,
    async authenticate(credentials, session) {
      const { answer, reason } = await authenticate(credentials, session)
      const facts = {
        sessionId: session.id,
        user: credentials.username,
        mechanism: credentials.mechanism,
        ...peer(session),
      }
      if (answer !== undefined && 'user' in answer) log.debug('login', facts)
      else log.info('login refused', { ...facts, ...(reason !== undefined && { reason }) })
      return answer
    },
  }
}

/** Calls `then` with the answer, at once where the hook answered at once, and passes the answer on. */
function whenAnswered(answer: unknown, then: (answer: unknown) => void): unknown {
  if (answer instanceof Promise) {
    return answer.then((late: unknown) => {
      then(late)
      return late
    })
  }
  then(answer)
  return answer
}

function noteRefusal(log: Logger, hook: string, answer: unknown, session: Session): void {
  if (!isReply(answer) || answer.code < 400) return
  log.info('refused', { sessionId: session.id, hook, reply: replyText(answer), ...peer(session) })
}

function noteLoss(log: Logger, error: MessageError, message: Message, session: Session): void {
  log.info('message refused', {
    sessionId: session.id,
    messageId: message.id,
    reason: error.reason,
    from: message.envelope.reversePath.address,
    size: message.size,
    ...peer(session),
  })
}

/** Who connects and leaves without a word looks whether the port is open, as often as it likes. */
function noteArrival(log: Logger, { stage, remote, message, receivedOctets, timedOut }: ArrivalError): void {
  const facts = { ...peer({ remote }), reason: message }
  if (stage === 'tls-handshake') log.info('TLS handshake failed', facts)
  else if (receivedOctets === 0 && !timedOut) log.debug('a proxy connected and sent nothing', facts)
  else log.warn('closed on: a proxy of --proxy-from has to send a PROXY header', facts)
}

function replyText(reply: Reply): string {
  return reply.wire.trimEnd().replaceAll('\r\n', ' / ')
}

function peer({ remote }: Pick<Session, 'remote'>): Record<string, unknown> {
  return remote.family === 'unix' ? { remote: 'unix' } : { remote: remote.address, remotePort: remote.port }
}
