/** Does the regular work on the store. */
import { LIMIT_RULES } from '@postern/engine'
import { keepUp as keepStoreUp, sweepMs } from '@postern/intake'
import { errorText, log } from './log.ts'
import type { OpenReceiver } from './receiver.ts'

/**
 * Removes mail past the retention limits, and sweeps if a sweep is due. Failures are logged.
 * @returns whether everything succeeded
 */
export function keepUp({ mail, settings }: OpenReceiver, isSweepDue: boolean): Promise<boolean> {
  const { limits, retention } = settings
  const { sessionTimeoutMs, hookTimeoutMs } = LIMIT_RULES
  const deps = {
    store: mail,
    retention,
    olderThanMs: sweepMs({
      sessionTimeoutMs: limits.sessionTimeoutMs ?? sessionTimeoutMs.byDefault,
      hookTimeoutMs: limits.hookTimeoutMs ?? hookTimeoutMs.byDefault,
    }),
    removed: (message: string, fields: Readonly<Record<string, unknown>>) => log('info', message, fields),
    failed: (message: string, error: unknown) => log('error', message, { error: errorText(error) }),
  }
  return keepStoreUp(deps, isSweepDue)
}
