/** Runs a server or a front until a signal or an uncaught error stops it. */
import process from 'node:process'
import type { Logger } from '@logtape/logtape'
import type { TlsCredentials } from '@postern/runtime/tls'
import { EXIT } from '../host/failure.ts'
import { NOTICE } from './logs/log.ts'
import { onSignals } from '../host/signals.ts'
import type { Settings } from '../config/settings.ts'
import { Renewal } from './tls/renewal.ts'

/** How long mail in progress may take after an uncaught error. */
const BROKEN_GRACE_MS = 1_000

export interface Running {
  readonly settings: Settings
  readonly tls: TlsCredentials | undefined
  readonly log: Logger
  /** Writes to standard output. */
  say(text: string): void
  /** Counts what is in progress, for the log. */
  inProgress(): Readonly<Record<string, number>>
  /** Makes the end of the line `Stopping`. */
  waitingText(): string
  /** Called after certificates were read again. */
  reloaded?(): Promise<void>
  /** Resolves with the reason if it cannot go on. */
  readonly broken?: Promise<unknown>
  /** Accepts no more connections, and waits at most `graceMs` for what is in progress. */
  end(graceMs: number): Promise<void>
}

/** Waits for a signal or an uncaught error, then stops. @returns the exit code */
export function untilStopped(running: Running): Promise<number> {
  const { tls, log, say } = running
  const { settings } = running
  const { graceMs } = settings.options
  const notices = log.getChild(NOTICE)
  const renewal = tls && new Renewal({ settings, tls, log, renewed: running.reloaded?.bind(running) })
  return new Promise((resolve) => {
    let exitCode: number = EXIT.done
    const end = async (ms: number): Promise<void> => {
      renewal?.close()
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
      // Ends the process even if `end` hangs.
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
        if (renewal === undefined) log.info('SIGHUP: there are no certificate files to read again', {})
        else renewal.now()
      },
      broken: fail,
    })
    void running.broken?.then(fail)
  })
}
