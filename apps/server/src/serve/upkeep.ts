/** Does the regular work on a server's store. */
import { keepUp, sweepMs, type UpkeepDeps } from '@postern/intake'
import type { Logger } from '@logtape/logtape'
import type { MailStore, Retention } from '@postern/storage'
import type { Options } from '../config/options.ts'
import { errorText } from '../host/failure.ts'

const HOUR_MS = 3_600_000
const HOURS_BETWEEN_SWEEPS = 24

/** Returns the retention limits of the settings. */
export function retentionOf({ keepAgeMs, keepCount, keepBytes }: Options): Retention {
  return { maxAgeMs: keepAgeMs, maxCount: keepCount, maxBytes: keepBytes }
}

/**
 * Sweeps now and daily, and expires now and hourly. Two rounds never overlap: if a round takes longer than an hour, the
 * next one is skipped. A failure is logged, and tried again in the next round. @returns a function that stops it,
 * between two messages
 */
export function startUpkeep(store: MailStore, options: Options, log: Logger): () => void {
  const stopping = new AbortController()
  const deps: UpkeepDeps = {
    store,
    retention: retentionOf(options),
    olderThanMs: sweepMs(options),
    removed: (message, fields) => log.info(message, fields),
    failed: (message, error) => log.error(`${message}: ${errorText(error)}`, { error }),
  }
  let hoursToSweep = 0
  let isBusy = false

  const round = async (): Promise<void> => {
    if (isBusy) return
    isBusy = true
    const isSweepDue = hoursToSweep <= 0
    if (isSweepDue) hoursToSweep = HOURS_BETWEEN_SWEEPS
    await keepUp(deps, isSweepDue, stopping.signal)
    isBusy = false
  }

  void round()
  const timer = setInterval(() => {
    hoursToSweep--
    void round()
  }, HOUR_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
    stopping.abort()
  }
}
