/** `postern front`: accepts connections and pipes each to a server on another machine. It stores nothing and reads no mail. */
import { boundUrl, frontAnnouncement } from '../../serve/announcement.ts'
import { fitDescriptors } from '../../serve/descriptors.ts'
import { Front } from '../../front/front.ts'
import { Journal } from '../../serve/logs/journal.ts'
import { closeAll, listenAll } from '../../serve/listening.ts'
import { NOTICE, openLog } from '../../serve/logs/log.ts'
import { NewUser } from '../../serve/new-user.ts'
import { outliveReader, tell } from '../../host/output.ts'
import { checkFront } from '../../config/combinations.ts'
import type { Settings } from '../../config/settings.ts'
import { expectClients } from '../../host/signals.ts'
import { openTls, readAuthorities } from '../../serve/tls/tls.ts'
import { untilStopped } from '../../serve/running.ts'

/**
 * Pipes until a signal stops it.
 * @returns the exit code.
 * @throws Failure if it cannot start
 */
export async function runFront(given: Settings): Promise<number> {
  const url = checkFront(given)
  const user = NewUser.of(given)
  const tls = await openTls(given)
  const { toCa } = given.options
  const ca = toCa === undefined ? undefined : await readAuthorities(given.spelled('toCa'), toCa)
  const log = await openLog(given.options)
  const settings = fitDescriptors(given, log, true)
  const { options } = settings
  const notices = log.getChild(NOTICE)
  const say = options.logFormat === 'json' ? () => {} : tell
  outliveReader()

  const { connectTimeoutMs, idleTimeoutMs, sessionTimeoutMs, maxConnections, maxConnectionsPerAddress } = options
  const front = new Front({
    url,
    // checkFront has checked that there is a secret.
    secret: options.frontSecret[0] as string,
    hostname: options.hostname,
    ca,
    connectTimeoutMs,
    idleTimeoutMs,
    sessionTimeoutMs,
    maxConnections,
    maxConnectionsPerAddress,
    keepsForSubmission: options.listen.some(({ submission }) => submission),
    log,
  })
  // Only ports for submission have overrides.
  const acceptor: Parameters<typeof listenAll>[0] = {
    accept: (client, overrides, place) => front.accept(client, overrides?.authRequired ?? false, place),
    reserve: (remote, _giveUp, overrides) => front.reserve(remote, overrides?.authRequired ?? false),
  }
  const journal = new Journal(log, options)
  expectClients()
  const bound = await listenAll(user?.holdBack(acceptor) ?? acceptor, settings, tls, journal)
  user?.become()
  say(frontAnnouncement(settings, bound, url))
  notices.info('serving', { addresses: bound.map(boundUrl), to: url, hostname: options.hostname })

  return untilStopped({
    settings,
    tls,
    log,
    say,
    inProgress: () => ({ connections: front.connectionCount }),
    waitingText: () => '.',
    async end(graceMs) {
      await Promise.all([closeAll(bound), front.close(graceMs)])
      journal.flush()
    },
  })
}
