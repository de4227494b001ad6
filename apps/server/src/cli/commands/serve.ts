/**
 * `postern serve`: from settings to a server that runs, and back down.
 *
 * Standard output has the block and a line for each message; the log goes to stderr. With `--log-format json` everything
 * is a line of JSON on stderr, and standard output stays empty.
 */
import { openLogins } from '@postern/intake/logins'
import { announcement, boundUrl, keepsText, keptLine, waitingText } from '../../serve/announcement.ts'
import { fitDescriptors } from '../../serve/descriptors.ts'
import { Journal } from '../../serve/logs/journal.ts'
import { closeAll, listenAll } from '../../serve/listening.ts'
import { NOTICE, openLog } from '../../serve/logs/log.ts'
import { outliveReader, tell } from '../../host/output.ts'
import { checkTogether } from '../../config/policy.ts'
import { missingMailboxes } from '../../serve/store/mailboxes.ts'
import { checkRights } from '../../serve/rights.ts'
import { makeServer } from '../../serve/server.ts'
import { expectClients } from '../../host/signals.ts'
import type { Settings } from '../../config/settings.ts'
import { openStore } from '../../serve/store/store.ts'
import { storeName } from '../../config/urls/store-url.ts'
import { openTls } from '../../serve/tls/tls.ts'
import { startUpkeep } from '../../serve/upkeep.ts'
import { untilStopped } from '../../serve/running.ts'

/** Serves until a signal stops it. @returns the exit code. @throws Failure when it can't begin. */
export async function serve(given: Settings): Promise<number> {
  checkTogether(given)
  if (given.options.workers > 1) {
    const { serveByWorkers } = await import('../../workers/serve.ts')
    return serveByWorkers(given)
  }
  const tls = await openTls(given)
  const log = await openLog(given.options)
  const settings = fitDescriptors(given, log)
  const { options } = settings
  const store = await openStore(settings, { log })
  const notices = log.getChild(NOTICE)
  const say = options.logFormat === 'json' ? () => {} : tell
  outliveReader()

  const logins = openLogins(options.hookTimeoutMs, checkRights())
  const journal = new Journal(log, options)
  const server = makeServer(settings, {
    options,
    store,
    log,
    logins,
    journal,
    // Of what is piped here, the front makes the handshakes.
    hasTls: tls !== undefined || options.listen.some(({ pipePath }) => pipePath !== undefined),
    kept: (record) => say(keptLine(record)),
  })
  expectClients()
  const bound = await listenAll(server, settings, tls, journal)
  let stopUpkeep = (): void => {}
  // Before anything is said: who reads it may send a signal.
  const stopped = untilStopped({
    settings,
    tls,
    log,
    say,
    inProgress: () => ({ sessions: server.sessionCount }),
    waitingText: () => waitingText(server.sessionCount, options.graceMs),
    async end(graceMs) {
      stopUpkeep()
      logins.close()
      await Promise.all([closeAll(bound), server.close({ graceMs })])
      journal.flush()
    },
  })
  say(announcement(settings, bound))
  const keeps = keepsText(options)
  notices.info('serving', {
    addresses: bound.map(boundUrl),
    store: storeName(options.store),
    hostname: options.hostname,
    ...(keeps !== undefined && { keeps }),
  })
  const reason = missingMailboxes(settings)
  if (reason !== undefined) log.warn('all recipients but the postmaster are refused', { reason })
  stopUpkeep = startUpkeep(store, options, log)
  return stopped
}
