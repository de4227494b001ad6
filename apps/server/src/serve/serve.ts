/**
 * Starts a server from its settings, and stops it. Only {@link Serving} differs between one thread and several workers.
 *
 * Standard output has the start block and a line for each message. The log goes to stderr. With `--log-format json`
 * everything is a line of JSON on stderr, and standard output stays empty.
 */
import { openLogins, type Logins } from '@postern/intake/logins'
import type { TlsCredentials, TlsOptions } from '@postern/runtime/tls'
import type { Resolver } from '@postern/dns'
import type { MessageVerification } from '@postern/intake/verification'
import type { MailStore } from '@postern/storage'
import type { Logger } from '@logtape/logtape'
import { storeName } from '../config/urls/store-url.ts'
import type { Settings } from '../config/settings.ts'
import { outliveReader, tell } from '../host/output.ts'
import { expectClients } from '../host/signals.ts'
import { type Accounts, openAccounts } from './accounts.ts'
import { announcement, boundUrl, keepsText, keptLine, waitingText } from './announcement.ts'
import { fitDescriptors } from './descriptors.ts'
import { type Bound, closeAll, listenAll } from './listening.ts'
import { Journal } from './logs/journal.ts'
import { type LogOutput, NOTICE, openLog } from './logs/log.ts'
import { NewUser } from './new-user.ts'
import { checkRights } from './rights.ts'
import { type OpenRelay, openRelay } from './relay/relay.ts'
import { makeResolver, openResolver } from './resolver.ts'
import { untilStopped } from './running.ts'
import { makeServer } from './smtp-server.ts'
import { missingMailboxes } from './store/mailboxes.ts'
import { checkApart, openStore } from './store/store.ts'
import { openTls } from './tls/tls.ts'
import { startUpkeep } from './upkeep.ts'
import { openVerification } from './verification.ts'

/** A look-up for mail that is sent on may take longer than one for a client that waits. */
const RELAY_LOOKUP_MS = 30_000

/** One server in this thread, or workers. */
export interface Serving {
  /** Receives the log. Default: standard error. */
  readonly logOutput?: LogOutput
  /** True if this thread logs that the store's directory is lost. Workers log it themselves. */
  readonly logsLostStore: boolean
  /** Writes to standard output. */
  tell(text: string): void
  /** Starts to receive mail on every address. @throws Failure */
  start(deps: ServingDeps): Promise<Service>
}

/** The parts that a service is made of. */
export interface ServingDeps {
  readonly settings: Settings
  readonly tls: TlsCredentials | undefined
  readonly store: MailStore
  readonly log: Logger
  readonly journal: Journal
  readonly logins: Logins
  readonly accounts: Accounts
  /** Sends mail on. undefined: nobody does. */
  readonly onward: OpenRelay | undefined
  /** Looks up the names of clients. undefined: nobody does. */
  readonly resolver: Resolver | undefined
  /** Finds out who sent a message. undefined: nobody does. */
  readonly verification: MessageVerification | undefined
  /** The user that the server becomes when it listens. */
  readonly user: NewUser | undefined
  /** Writes to standard output, or does nothing with `--log-format json`. */
  say(text: string): void
}

/** The parts that are opened with the rights of the server's user. */
interface Opened extends Pick<ServingDeps, 'store' | 'accounts' | 'resolver' | 'verification'> {
  readonly logins: ReturnType<typeof openLogins>
}

/** A running server, or running workers. */
export interface Service {
  /** The addresses it listens on, in the order of the settings. */
  readonly bound: readonly Bound[]
  readonly sessionCount: number
  /** Resolves with the reason if it cannot go on. */
  readonly broken?: Promise<unknown>
  /** Resolves when all later handshakes use it. */
  useTls?(tls: TlsOptions): Promise<void>
  /** Accepts no more connections, and waits at most `graceMs` for what is in progress. */
  end(graceMs: number): Promise<void>
}

/** Serves with one server in this thread. */
export const ALONE: Serving = { logsLostStore: true, tell, start: startAlone }

/** Serves until a signal stops it. @returns the exit code. @throws Failure if it can't start */
export async function serve(given: Settings, serving: Serving): Promise<number> {
  const user = NewUser.of(given)
  const tls = await openTls(given)
  const log = await openLog(given.options, serving.logOutput)
  const settings = fitDescriptors(given, log)
  const { options } = settings
  const notices = log.getChild(NOTICE)
  const say = options.logFormat === 'json' ? () => {} : (text: string) => serving.tell(text)
  outliveReader()

  const access = serving.logsLostStore ? { log } : {}
  const open = async (): Promise<Opened> => ({
    store: await openStore(settings, access),
    resolver: await openResolver(settings, log),
    verification: await openVerification(settings, log, access),
    logins: openLogins(options.hookTimeoutMs, checkRights()),
    accounts: await openAccounts(settings, log),
  })
  const opened = await (user === undefined ? open() : user.as(open))
  const { store, logins, accounts } = opened
  checkApart(settings, store)
  const resolver = (): Promise<Resolver> =>
    makeResolver(settings, { purpose: settings.spelled('relay'), timeoutMs: RELAY_LOOKUP_MS, log })
  const openIt = (): Promise<OpenRelay | undefined> =>
    openRelay({ settings, store, book: accounts.book, rules: accounts.rules, log, resolver })
  const onward = await (user === undefined ? openIt() : user.as(openIt))
  const journal = new Journal(log, options)
  const service = await serving.start({ ...opened, onward, settings, tls, log, journal, user, say })
  user?.become()
  onward?.start()
  let stopUpkeep = (): void => {}
  // This comes before the start block, because a reader of the start block may send a signal.
  const stopped = untilStopped({
    settings,
    tls,
    log,
    say,
    inProgress: () => ({ sessions: service.sessionCount }),
    waitingText: () => waitingText(service.sessionCount, options.graceMs),
    async reloaded() {
      if (tls !== undefined) await service.useTls?.(tls.current.options)
    },
    ...(service.broken !== undefined && { broken: service.broken }),
    async end(graceMs) {
      stopUpkeep()
      accounts.close()
      logins.close()
      await service.end(graceMs)
      await onward?.close(graceMs)
      journal.flush()
    },
  })
  say(announcement(settings, service.bound))
  const keeps = keepsText(options)
  notices.info('serving', {
    addresses: service.bound.map(boundUrl),
    store: storeName(options.store),
    hostname: options.hostname,
    ...(options.workers > 1 && { workers: options.workers }),
    ...(keeps !== undefined && { keeps }),
  })
  const reason = missingMailboxes(settings)
  if (reason !== undefined) log.warn('all recipients but the postmaster are refused', { reason })
  const stops = [store, opened.verification?.quarantine].map((each) => each && startUpkeep(each, options, log))
  stopUpkeep = () => stops.forEach((stop) => stop?.())
  return stopped
}

async function startAlone(deps: ServingDeps): Promise<Service> {
  const { settings, tls, journal, user, say } = deps
  const server = makeServer(settings, {
    ...deps,
    options: settings.options,
    kept: (record) => say(keptLine(record)),
  })
  expectClients()
  const bound = await listenAll(user?.holdBack(server) ?? server, settings, tls, journal)
  return {
    bound,
    get sessionCount() {
      return server.sessionCount
    },
    async end(graceMs) {
      await Promise.all([closeAll(bound), server.close({ graceMs })])
    },
  }
}
