/** What serves until it is told to stop: by a signal, or by an error that nobody caught. */
import process from 'node:process'
import type { Logger } from '@logtape/logtape'
import type { TlsCredentials } from '@postern/runtime/tls'
import { EXIT } from '../host/failure.ts'
import { NOTICE } from './logs/log.ts'
import { onSignals } from '../host/signals.ts'
import type { Settings } from '../config/settings.ts'
import { reloadTls, warnOfDates } from './tls/tls.ts'

/** How long what is in progress may take when the program is broken. */
const BROKEN_GRACE_MS = 1_000

export interface Running {
  readonly settings: Settings
  readonly tls: TlsCredentials | undefined
  readonly log: Logger
  /** Writes to standard output. */
  say(text: string): void
  /** What is in progress, for the log. */
  inProgress(): Readonly<Record<string, number>>
  /** Ends the line that says that it stops. */
  waitingText(): string
  /** Told that certificates were read again. */
  reloaded?(): Promise<void>
  /** Resolves, with why, when it can't go on. */
  readonly broken?: Promise<unknown>
  /** Stops taking anything in, and waits at most so long for what is in progress. */
  end(graceMs: number): Promise<void>
}

/** Waits for a signal, or for the program to break, and stops. @returns the exit code. */
export function untilStopped(running: Running): Promise<number> {
  const { tls, log, say } = running
  const { graceMs, selfSigned } = running.settings.options
  const notices = log.getChild(NOTICE)
  return new Promise((resolve) => {
    let exitCode: number = EXIT.done
    const end = async (ms: number): Promise<void> => {
      await running.end(ms)
      notices.info('stopped', {})
      say('Stopped.\n')
      forgetSignals()
      resolve(exitCode)
    }
    const fail = (error: unknown): void => {
      log.fatal('stopping after an uncaught error', { error })
      if (exitCode === EXIT.failed) return
      exitCode = EXIT.failed
      // Whatever holds the end up, it ends.
      setTimeout(() => process.exit(EXIT.failed), 2 * BROKEN_GRACE_MS)
      void end(BROKEN_GRACE_MS)
    }
    const forgetSignals = onSignals({
      stop(signal) {
        notices.info('stopping', { signal, ...running.inProgress(), graceMs })
        say(`\nStopping${running.waitingText()}\n`)
        end(graceMs).catch(fail)
      },
      stopNow(signal) {
        notices.warn('stopped at once', { signal, ...running.inProgress() })
        say('Stopped at once.\n')
      },
      hangUp() {
        if (tls === undefined || selfSigned) log.info('SIGHUP: there are no certificate files to read again', {})
        else void reload(running, tls)
      },
      broken: fail,
    })
    void running.broken?.then(fail)
    if (tls !== undefined) warnOfDates(tls, log)
  })
}

async function reload({ settings, log, reloaded }: Running, tls: TlsCredentials): Promise<void> {
  try {
    await reloadTls(settings, tls)
    await reloaded?.()
    log.info('certificates read again', {})
    warnOfDates(tls, log)
  } catch (error) {
    log.error('certificates could not be read again; the server keeps the old ones', { error })
  }
}
