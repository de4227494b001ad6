/**
 * Makes the engine and its store from the options of a Worker and its environment. All handlers of an isolate share them.
 *
 * Limits on connections hold for one isolate. Cloudflare decides how many isolates it runs.
 */
import {
  type AuthOptions,
  createServer,
  type Extension,
  type Limits,
  LIMIT_RULES,
  OptionError,
  type Server,
  type Session,
  type SessionOverrides,
} from '@postern/engine'
import {
  type Guard,
  intake,
  type IntakeOptions,
  keptEntry,
  type Observer,
  type Onward,
  refusedEntry,
  sessionFields,
  storeDeadlineMs,
} from '@postern/intake'
import { accountsGuard, type AccountsGuardOptions, domainsGuard, reverseDnsGuard } from '@postern/intake/guards'
import { HANDLER_NAMES } from '@postern/intake/settings'
import type { MessageVerification } from '@postern/intake/verification'
import { type BlobStore, type MailStore, mailStore } from '@postern/storage'
import { type Bucket, r2 } from '@postern/storage/r2'
import { loginsFor } from './accounts.ts'
import { errorText, log } from './log.ts'
import { resolverOverHttps } from './resolver.ts'
import { readSettings, type Settings, type SettingsInput } from './settings.ts'

/** A value, or a function that makes it. The function is called once for each environment. */
export type FromEnv<Env, T> = T | ((env: Env, settings: Settings) => T)

export interface ReceiverOptions<Env> {
  /** Returns the R2 bucket that stores the mail. Default: `env.MAIL`. */
  readonly bucket?: (env: Env) => Bucket | undefined
  /** Makes a store that is not R2. `bucket` is then not called. */
  readonly store?: (env: Env, options: StoreOptions) => BlobStore
  /** Settings in the code. The vars `POSTERN_…` of the environment override them. */
  readonly settings?: SettingsInput | ((env: Env) => SettingsInput)
  /**
   * The engine's hooks, which decide who may send what to whom. They are asked first. Then the Worker refuses recipients outside the
   * domains of the settings. `data` may refuse a message. If it returns undefined, the Worker stores the message.
   */
  readonly handlers?: FromEnv<Env, NonNullable<IntakeOptions['handlers']>>
  /** Who may log in. Default: the accounts of the settings, if there are any. */
  readonly auth?: FromEnv<Env, AuthOptions | undefined>
  /** Finds out who sent each message; see `createVerification` of `@postern/intake/verification`. Default: nobody does. */
  readonly verification?: (env: Env, deps: VerificationDeps) => MessageVerification
  /** Sends mail on: `sendOn()` of `@postern/worker/relay`. Default: mail of users for other domains is refused. */
  readonly sendOn?: SendOn<Env>
}

/** What a verification may be made of. */
export interface VerificationDeps {
  readonly settings: Settings
  /** The store of the mail, below whose other prefixes long messages may wait. */
  readonly blobs: BlobStore
}

/** Sends mail on that users submit, or that a rule forwards. It is an option, so that a Worker that only receives does not carry it. */
export interface SendOn<Env> {
  /** Returns whether it reads a variable of the environment. */
  reads(variable: string): boolean
  /** @throws OptionError if a setting is wrong; Error if a binding is missing */
  open(env: Env, deps: SendOnDeps): OpenSendOn
}

export interface SendOnDeps extends Pick<OpenReceiver, 'settings' | 'mail'> {
  /** The store of the mail. The messages that are sent on are in it too, below another prefix. */
  readonly blobs: BlobStore
  /** Whether users can log in. */
  readonly hasUsers: boolean
}

export interface OpenSendOn {
  /** What receives the mail; undefined if the settings turn it off. */
  readonly intake: SendOnIntake | undefined
  /** Answers requests below `/queue` that have shown the token. */
  fetch(request: Request): Promise<Response>
}

export interface SendOnIntake extends Pick<AccountsGuardOptions, 'receives'> {
  readonly onward: Onward
  readonly extensions: readonly Extension[]
  /** Asked after the guards that know which addresses are ours. */
  readonly guards: readonly Guard[]
  readonly limits: Partial<Limits>
}

/** The options that decide who may do what. A Worker may have them in a file of their own. */
export type Policy<Env> = Pick<ReceiverOptions<Env>, 'handlers' | 'auth'>

export interface StoreOptions {
  /** The time that the store may take for one blob. It is less than the time that the engine waits. */
  readonly deadlineMs: number
}

/** Receives the mail of a Worker. {@link createReceiver} makes it, and the handlers of the Worker share it. */
export interface Receiver<Env> {
  /**
   * Returns the engine, the store and the settings of an environment. It makes them at the first call.
   *
   * @throws OptionError if a setting is wrong; Error if a binding is missing
   */
  open(env: Env): OpenReceiver
}

export interface OpenReceiver {
  readonly settings: Settings
  readonly mail: MailStore
  readonly server: Server
  /** What holds for connections of `connect`. */
  readonly overrides: SessionOverrides
  readonly sendOn: OpenSendOn | undefined
}

/** Smaller than the engine's default, because an isolate has only 128 MiB. */
const MAX_TOTAL_ENVELOPE_OCTETS = 16 * 1024 * 1024
/** The greatest number of refusals that are logged for one session, because a client may send bad recipients without end. */
const MAX_LOGGED_REFUSALS = 20

/** Makes the receiver of a Worker. It reads no setting yet, because only a request has the environment. */
export function createReceiver<Env extends object>(options: ReceiverOptions<Env> = {}): Receiver<Env> {
  // There is one for each environment, because after a deployment that changes only vars the same isolate may get another environment.
  const opened = new WeakMap<Env, OpenReceiver>()
  return {
    open(env) {
      let receiver = opened.get(env)
      if (receiver === undefined) {
        receiver = openReceiver(env, options)
        opened.set(env, receiver)
      }
      return receiver
    },
  }
}

function openReceiver<Env extends object>(env: Env, options: ReceiverOptions<Env>): OpenReceiver {
  const input = typeof options.settings === 'function' ? options.settings(env) : options.settings
  const settings = readSettings(env, input, options.sendOn?.reads)
  const blobs = openStore(env, options, settings)
  const mail = mailStore(blobs)
  const handlers = valueOf(options.handlers, env, settings)
  if (handlers !== undefined) checkHandlers(handlers)
  const auth = valueOf(options.auth, env, settings)
  const { directory } = settings
  const hasUsers = auth !== undefined || directory !== undefined
  const sendOn = options.sendOn?.open(env, { settings, mail, blobs, hasUsers })
  const sending = sendOn?.intake
  const sendsOn = sending !== undefined
  const verification = options.verification?.(env, { settings, blobs })
  const server = createServer({
    hostname: settings.hostname,
    tls: { required: settings.tlsRequired },
    limits: { maxTotalEnvelopeOctets: MAX_TOTAL_ENVELOPE_OCTETS, ...sending?.limits, ...settings.limits },
    extensions: sending?.extensions ?? [],
    ...(auth !== undefined && { auth }),
    ...intake({
      store: mail,
      ...(handlers !== undefined && { handlers }),
      firstGuards: lookUps(settings),
      guards: [
        ...(settings.domains === undefined ? [] : [domainsGuard(settings.domains, { sendsOn })]),
        ...(directory === undefined ? [] : [accountsGuard(() => directory, { ...sending, sendsOn })]),
        ...(sending?.guards ?? []),
      ],
      ...(verification !== undefined && { verification }),
      ...(sendsOn && { onward: sending.onward }),
      ...(directory !== undefined && { submission: { hostname: settings.hostname, book: () => directory } }),
      ...(directory !== undefined && auth === undefined && { auth: loginsFor(directory, settings) }),
      observer: logObserver(),
      contents: { summary: true, ...settings.contents },
    }),
  })
  const { proxies } = settings
  const overrides = proxies === undefined ? {} : { proxyProtocol: { trusted: proxies } }
  return { settings, mail, server, overrides, sendOn }
}

function lookUps({ reverseDns }: Settings): readonly Guard[] {
  if (reverseDns === undefined) return []
  const { resolvers, timeoutMs } = reverseDns
  return [reverseDnsGuard({ resolver: resolverOverHttps(resolvers), timeoutMs })]
}

/** Checks the hooks, because the Worker would accept mail without asking a hook that nobody calls. @throws OptionError */
function checkHandlers(given: unknown): void {
  const allowed = `an object of functions called ${HANDLER_NAMES.join(', ')}`
  // A promise is not one: functions of a policy must answer at once.
  if (typeof given !== 'object' || given === null || 'then' in given) throw new OptionError('handlers', given, allowed)
  for (const name of HANDLER_NAMES) {
    const hook: unknown = (given as Readonly<Record<string, unknown>>)[name]
    if (hook !== undefined && typeof hook !== 'function') throw new OptionError(`handlers.${name}`, hook, 'a function')
  }
  // An object of a class may have fields of its own.
  if (Object.getPrototypeOf(given) !== Object.prototype) return
  const unknown = Object.keys(given).find((name) => !HANDLER_NAMES.includes(name))
  if (unknown !== undefined)
    throw new OptionError('handlers', unknown, `a hook; the hooks are ${HANDLER_NAMES.join(', ')}`)
}

function valueOf<Env, T extends object | undefined>(
  given: FromEnv<Env, T> | undefined,
  env: Env,
  settings: Settings,
): T | undefined {
  return typeof given === 'function' ? given(env, settings) : given
}

function openStore<Env extends object>(
  env: Env,
  { store, bucket }: ReceiverOptions<Env>,
  { limits }: Settings,
): BlobStore {
  const deadlineMs = storeDeadlineMs(limits.hookTimeoutMs ?? LIMIT_RULES.hookTimeoutMs.byDefault)
  if (store !== undefined) return store(env, { deadlineMs })
  const found = bucket === undefined ? (env as { MAIL?: Bucket }).MAIL : bucket(env)
  // A var of that name is no bucket. Without this check the store would try again and again until its deadline.
  if (typeof found === 'object' && found !== null) return r2(found, { deadlineMs })
  if (found !== undefined && found !== null)
    throw new Error(
      `${bucket === undefined ? 'the binding MAIL' : 'what the option `bucket` returns'} is not an R2 bucket, which stores the mail`,
    )
  const what = bucket === undefined ? 'the binding MAIL is missing' : 'the option `bucket` found no binding'
  throw new Error(`${what}: it must be an R2 bucket, which stores the mail`)
}

/** Makes the observer that writes events of sessions and messages to the log. */
function logObserver(): Observer {
  /** The number of refusals that were logged for a session. */
  const refusalCounts = new WeakMap<Session, number>()
  return {
    kept(record, session) {
      const { message, fields } = keptEntry(record, session)
      log('info', message, fields)
    },
    refused(refused, session, explanation) {
      const count = session === undefined ? 1 : (refusalCounts.get(session) ?? 0) + 1
      if (session !== undefined) refusalCounts.set(session, count)
      if (count > MAX_LOGGED_REFUSALS) return
      const { message, fields } = refusedEntry(refused, session, explanation)
      const isLast = count === MAX_LOGGED_REFUSALS
      log('info', message, { ...fields, ...(isLast && { note: 'further refusals of this session are not logged' }) })
    },
    lost: (message, session) =>
      log('info', 'message refused', { ...sessionFields(session, session.remote), ...message }),
    arrivalFailed: (error, session) =>
      log(
        'info',
        error.stage === 'tls-handshake' ? 'TLS handshake failed' : 'connection closed without a PROXY header',
        { ...sessionFields(session, error.remote), reason: error.message },
      ),
    failed: (error, session) =>
      log('error', 'an error in a session', {
        ...(session && sessionFields(session, session.remote)),
        error: errorText(error),
      }),
  }
}
