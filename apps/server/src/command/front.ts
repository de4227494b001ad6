/** `postern front`: takes connections in, and pipes each to a server elsewhere. It keeps nothing and knows no mail. */
import process from 'node:process'
import { readFile } from 'node:fs/promises'
import type { Logger } from '@logtape/logtape'
import type { TlsCredentials } from '@postern/runtime/tls'
import { boundUrl, frontAnnouncement } from '../announcement.ts'
import { errorText, EXIT, Failure } from '../failure.ts'
import { Front } from '../front/front.ts'
import { closeAll, listenAll } from '../listening.ts'
import { NOTICE, openLog } from '../log.ts'
import { outliveReader } from '../output.ts'
import { checkFront } from '../policy.ts'
import type { Settings } from '../settings.ts'
import { onSignals } from '../signals.ts'
import { openTls, reloadTls } from '../tls.ts'

/** How long connections may take when the program is broken. */
const BROKEN_GRACE_MS = 1_000

/** Pipes until a signal stops it. @returns the exit code. @throws Failure when it can't begin. */
export async function runFront(settings: Settings): Promise<number> {
  const { options } = settings
  const url = checkFront(settings)
  const tls = await openTls(settings)
  const ca = await readAuthorities(settings)
  const log = await openLog(options)
  const notices = log.getChild(NOTICE)
  const say = options.logFormat === 'json' ? () => {} : (text: string) => void process.stdout.write(text)
  outliveReader()

  const { connectTimeoutMs, idleTimeoutMs, sessionTimeoutMs, maxConnections, maxConnectionsPerAddress } = options
  const front = new Front({
    url,
    // The check has seen it.
    secret: options.frontSecret[0] as string,
    hostname: options.hostname,
    ca,
    connectTimeoutMs,
    idleTimeoutMs,
    sessionTimeoutMs,
    maxConnections,
    maxConnectionsPerAddress,
    log,
  })
  // Only a port for submission has policies of its own.
  const acceptor: Parameters<typeof listenAll>[0] = {
    accept: (client, overrides) => front.accept(client, overrides?.authRequired ?? false),
  }
  const bound = await listenAll(acceptor, settings, tls, log)
  say(frontAnnouncement(settings, bound, url))
  notices.info('serving', { addresses: bound.map(boundUrl), to: url, hostname: options.hostname })

  return new Promise((resolve) => {
    let exitCode: number = EXIT.done
    const end = async (graceMs: number): Promise<void> => {
      await Promise.all([closeAll(bound), front.close(graceMs)])
      notices.info('stopped', {})
      say('Stopped.\n')
      forgetSignals()
      resolve(exitCode)
    }
    const fail = (error: unknown): void => {
      log.fatal('stopping: an error that nobody caught', { error })
      if (exitCode === EXIT.failed) return
      exitCode = EXIT.failed
      // Whatever holds the end up, it ends.
      setTimeout(() => process.exit(EXIT.failed), 2 * BROKEN_GRACE_MS)
      void end(BROKEN_GRACE_MS)
    }
    const forgetSignals = onSignals({
      stop(signal) {
        notices.info('stopping', { signal, connections: front.connectionCount, graceMs: options.graceMs })
        say('\nStopping.\n')
        end(options.graceMs).catch(fail)
      },
      stopNow(signal) {
        notices.warn('stopped at once', { signal, connections: front.connectionCount })
        say('Stopped at once.\n')
      },
      ...(tls === undefined || options.selfSigned ? {} : { reload: () => void reload(settings, tls, log) }),
      broken: fail,
    })
  })
}

async function readAuthorities({ options, spelled }: Settings): Promise<Buffer | undefined> {
  const { toCa } = options
  if (toCa === undefined) return undefined
  try {
    return await readFile(toCa)
  } catch (error) {
    throw new Failure(`${spelled('toCa')} ${toCa}: ${errorText(error)}; name a PEM file`, EXIT.misused, {
      cause: error,
    })
  }
}

async function reload(settings: Settings, tls: TlsCredentials, log: Logger): Promise<void> {
  try {
    await reloadTls(settings, tls)
    log.info('certificates read again', {})
  } catch (error) {
    log.error('certificates could not be read again; the old ones stay', { error })
  }
}
