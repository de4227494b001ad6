/**
 * `postern serve --workers N`: each worker is a thread that listens on the same addresses, and the system shares connections out
 * among them. The main thread takes in no mail: it looks after the workers, signals, certificates and the store's upkeep.
 */
import type { Endpoint } from '@postern/engine'
import type { Acceptor } from '@postern/runtime/node'
import type { TlsCredentials } from '@postern/runtime/tls'
import { openLogins } from '@postern/intake/logins'
import { announcement, boundUrl, keepsText, waitingText } from '../serve/announcement.ts'
import { untilStopped } from '../serve/running.ts'
import { fitDescriptors } from '../serve/descriptors.ts'
import { Failure } from '../host/failure.ts'
import { Journal } from '../serve/logs/journal.ts'
import { closeAll, listenAll } from '../serve/listening.ts'
import { NOTICE, openLog } from '../serve/logs/log.ts'
import type { Options } from '../config/options/options.ts'
import { missingMailboxes } from '../serve/store/mailboxes.ts'
import { outliveReader } from '../host/output.ts'
import { canAuthenticate } from '../config/policy.ts'
import { checkRights } from '../serve/rights.ts'
import { makeServer } from '../serve/server.ts'
import type { Settings } from '../config/settings.ts'
import { openStore } from '../serve/store/store.ts'
import { storeName } from '../config/urls/store-url.ts'
import { openTls } from '../serve/tls/tls.ts'
import { runtimeName } from '../host/runtime.ts'
import { startUpkeep } from '../serve/upkeep.ts'
import { Crew } from './crew.ts'
import { sharedOutput } from './output.ts'
import { makeShared, sharedWords } from './shared.ts'

/** Serves until a signal stops it. @returns the exit code. @throws Failure when it can't begin. */
export async function serveByWorkers(given: Settings): Promise<number> {
  checkRuntime(given)
  const tls = await openTls(given)
  const store = await openStore(given)
  const output = sharedWords(1)
  const log = await openLog(given.options, sharedOutput(2, output))
  const settings = fitDescriptors(given, log)
  const { options } = settings
  const takesPipes = options.listen.some(({ pipePath }) => pipePath !== undefined)
  // Who takes in no pipes need not load what that takes.
  const tokens = takesPipes ? (await import('./tokens.ts')).tokenTable() : undefined
  const shared = makeShared({ ...options, keepsForSubmission: canAuthenticate(options) }, options.workers, {
    output,
    tokens,
  })
  const notices = log.getChild(NOTICE)
  const out = sharedOutput(1, output)
  const say = options.logFormat === 'json' ? () => {} : (text: string) => out.write(text)
  outliveReader()

  const journal = new Journal(log, options)
  await checkPlaces(settings, tls, journal)
  // What the engine refuses is said once, and before any thread begins.
  const logins = openLogins(options.hookTimeoutMs, checkRights())
  makeServer(settings, { options, store, log, logins, journal, hasTls: tls !== undefined, kept: () => {} })
  const plain = sendable(options)
  const crew = new Crew({
    shared,
    addressCount: options.listen.length,
    log,
    logins,
    start: (index) => ({ index, shared, flags: settings.flags, options: plain, tls: tls?.current.options }),
  })
  const places = await crew.start()
  const bound = options.listen.map((given, i) => ({ given, at: places[i] as Endpoint }))
  let stopUpkeep = (): void => {}
  // Before anything is said: who reads it may send a signal.
  const stopped = untilStopped({
    settings,
    tls,
    log,
    say,
    inProgress: () => ({ sessions: crew.sessionCount }),
    waitingText: () => waitingText(crew.sessionCount, options.graceMs),
    async reloaded() {
      if (tls !== undefined) await crew.useTls(tls.current.options)
    },
    broken: crew.broken,
    async end(graceMs) {
      stopUpkeep()
      logins.close()
      await crew.stop(graceMs)
    },
  })
  say(announcement(settings, bound))
  const keeps = keepsText(options)
  notices.info('serving', {
    addresses: bound.map(boundUrl),
    store: storeName(options.store),
    hostname: options.hostname,
    workers: options.workers,
    ...(keeps !== undefined && { keeps }),
  })
  const reason = missingMailboxes(settings)
  if (reason !== undefined) log.warn('all recipients but the postmaster are refused', { reason })
  stopUpkeep = startUpkeep(store, options, log)
  return stopped
}

/** @throws Failure where threads can't listen on one port. */
function checkRuntime({ options, spelled }: Settings): void {
  const { Deno } = globalThis as { readonly Deno?: { readonly listenDatagram?: unknown } }
  // What the flag brings with it.
  if (runtimeName !== 'deno' || Deno?.listenDatagram !== undefined) return
  if (options.listen.every(({ path, pipePath }) => (path ?? pipePath) !== undefined)) return
  throw new Failure(`${spelled('workers')} ${options.workers}: on Deno takes its flag --unstable-net, to share a port`)
}

/**
 * Listens as a server without workers does, and stops. Threads that share a port would share it with another server of the same user
 * as well, and nobody would notice. @throws Failure where an address can't be listened on
 */
async function checkPlaces(settings: Settings, tls: TlsCredentials | undefined, journal: Journal): Promise<void> {
  const nobody: Acceptor = { accept: (duplex) => duplex.destroy() }
  await closeAll(await listenAll(nobody, settings, tls, journal))
}

/** What workers are told, and need not read again. */
function sendable(options: Options): Partial<Options> {
  const { handlers: _handlers, s3Credentials: _credentials, store, ...plain } = options
  return 'scheme' in store && 'url' in store ? { ...plain, store } : plain
}
