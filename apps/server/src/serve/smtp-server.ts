/** Makes the engine's server from the settings. */
import {
  createServer,
  deliverBy,
  dsn,
  futureRelease,
  type Limits,
  LIMIT_RULES,
  mtPriority,
  OptionError,
  type Places,
  requireTls,
  type Server,
  type ServerOptions,
  type Session,
  xclient,
  xforward,
} from '@postern/engine'
import { type Guard, intake, type IntakeAuth, keptTimeoutMs, sessionFields } from '@postern/intake'
import {
  accountsGuard,
  domainsGuard,
  reverseDnsGuard,
  rulesGuard,
  type RulesGuardOptions,
} from '@postern/intake/guards'
import type { RecipientAddress } from '@postern/intake/directory'
import { authenticator, type Logins } from '@postern/intake/logins'
import type { MessageVerification } from '@postern/intake/verification'
import type { Resolver } from '@postern/dns'
import type { TlsCredentials } from '@postern/runtime/tls'
import type { Logger } from '@logtape/logtape'
import type { MailRecord, MailStore } from '@postern/storage'
import type { OptionName, Options } from '../config/options.ts'
import { canAuthenticate } from '../config/options/users.ts'
import type { Settings } from '../config/settings.ts'
import { rangesOf } from '../config/urls/proxies.ts'
import { EXIT, Failure } from '../host/failure.ts'
import type { Accounts } from './accounts.ts'
import type { Journal } from './logs/journal.ts'
import { logObserver } from './logs/observer.ts'
import type { ServerOnward } from './relay/onward.ts'

/** How long FUTURERELEASE may hold a message: 30 days. */
const MAX_HOLD_SECONDS = 2_592_000

/** The parts that an SMTP server is made of. */
export interface ServerDeps {
  readonly options: Options
  readonly store: MailStore
  readonly log: Logger
  readonly journal: Journal
  readonly tls: TlsCredentials | undefined
  /** Looks up the names of clients. undefined: nobody does. */
  readonly resolver: Resolver | undefined
  /** Finds out who sent a message. undefined: nobody does. */
  readonly verification: MessageVerification | undefined
  /** Decides when a login may be tried. */
  readonly logins: Logins
  readonly accounts: Accounts
  /** Sends mail on. undefined: nobody does. */
  readonly onward: ServerOnward | undefined
  /** Called with each message when it is durable. */
  kept(record: MailRecord): void
}

/**
 * Makes the server. If the engine refuses an option, the error names the option as the user wrote it.
 *
 * @param places Gives out the places for connections. Default: the server does it, by its limits.
 * @throws Failure
 */
export function makeServer(settings: Settings, deps: ServerDeps, places?: Places): Server {
  try {
    return createServer({ ...engineOptions(deps), ...(places === undefined ? {} : { places }) })
  } catch (error) {
    if (!(error instanceof OptionError)) throw error
    const field = error.field === 'auth.mechanisms' ? 'authMechanisms' : error.field.replace(/^limits\./, '')
    throw new Failure(
      `${settings.spelled(field as OptionName)}${error.message.slice(error.field.length)}`,
      EXIT.misused,
      { cause: error },
    )
  }
}

function engineOptions(deps: ServerDeps): ServerOptions {
  const { accounts, onward, options, store, log, tls, verification } = deps
  const sendsOn = onward !== undefined
  const { handlers } = options
  const wire = log.getChild('wire')
  const quiet = rangesOf(options.quietFrom)
  const returned: RulesGuardOptions['returned'] = (address) => onward?.returned(address)
  const receives = (address: RecipientAddress): boolean =>
    accounts.rules().decides(address) || returned(address) !== undefined
  const hasRules = sendsOn || accounts.book !== undefined || !accounts.rules().isEmpty
  return {
    hostname: options.hostname,
    banner: options.banner,
    helloText: options.helloText,
    limits: pickLimits(options),
    tls: { startTls: tls !== undefined || takesPipes(options), required: options.tlsRequired },
    bareLineEndings: options.bareLineEndings,
    addresses: options.addresses,
    disabled: options.disabled,
    extensions: [
      // The relay keeps what these promise.
      ...(sendsOn ? [dsn, requireTls, mtPriority(), deliverBy(), futureRelease({ maxSeconds: MAX_HOLD_SECONDS })] : []),
      ...(options.xclientFrom.length > 0 ? [xclient({ trusted: rangesOf(options.xclientFrom) })] : []),
      ...(options.xforwardFrom.length > 0 ? [xforward({ trusted: rangesOf(options.xforwardFrom) })] : []),
    ],
    greetingDelayMs: options.greetingDelayMs,
    ...intake({
      store,
      handlers,
      firstGuards: lookUps(deps),
      guards: [
        ...(options.domains === undefined ? [] : [domainsGuard(options.domains, { sendsOn })]),
        ...(accounts.book === undefined ? [] : [accountsGuard(accounts.book, { sendsOn, receives })]),
        ...(hasRules ? [rulesGuard(accounts.rules, { returned })] : []),
        ...options.guards,
      ],
      observer: logObserver({ ...deps, quiet }),
      keptTimeoutMs: keptTimeoutMs(options.hookTimeoutMs),
      contents: {
        summary: options.summary === 'on',
        attachments: options.attachments,
        attachmentsAboveBytes: options.attachmentsAboveBytes,
      },
      ...(verification !== undefined && { verification }),
      ...(onward !== undefined && { onward }),
      ...(accounts.book !== undefined && { submission: { hostname: options.hostname, book: accounts.book } }),
      ...(canAuthenticate(options) ? { auth: authOf(deps) } : {}),
    }),
    ...(options.debug && {
      trace: ({ sessionId, from, remote, text }) => {
        if (!quiet.includes(remote)) wire.debug(from, { sessionId, text })
      },
    }),
  }
}

function lookUps({ options, log, resolver }: ServerDeps): readonly Guard[] {
  if (resolver === undefined) return []
  const failed = (reason: unknown, session: Session): void =>
    log.debug('no name for a client', { ...sessionFields(session, session.remote), reason })
  return [reverseDnsGuard({ resolver, timeoutMs: options.reverseDnsTimeoutMs, failed })]
}

/** Returns whether fronts connect here. Then STARTTLS is offered, because the front makes the handshakes. */
function takesPipes({ listen }: Options): boolean {
  return listen.some(({ pipePath }) => pipePath !== undefined)
}

function pickLimits(options: Options): Limits {
  const names = Object.keys(LIMIT_RULES) as (keyof Limits)[]
  return Object.fromEntries(names.map((name) => [name, options[name]])) as unknown as Limits
}

function authOf({ accounts, options, logins }: ServerDeps): IntakeAuth {
  const { maxFailedAuths, handlers } = options
  return {
    ...(options.authMechanisms !== undefined && { mechanisms: options.authMechanisms }),
    required: options.authRequired,
    requiredText: options.authRequiredText,
    allowWithoutTls: options.authWithoutTls || options.acceptAnyLogin !== 'no',
    authenticate: handlers.authenticate?.bind(handlers),
    own: accounts.own,
    makeLogins: (own) =>
      authenticator({
        own,
        identities: accounts.identities,
        kinds: accounts.kinds,
        ...(accounts.checkToken !== undefined && { checkToken: accounts.checkToken }),
        maxFailedAuths,
        logins,
      }),
  }
}
