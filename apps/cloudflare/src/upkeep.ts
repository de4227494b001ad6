/** Keeps the store in order when a timer says that it is due. */
import { LIMIT_RULES } from '@postern/engine'
import { keepUp as keepStoreUp, sweepMs } from '@postern/intake'
import type { MailStore } from '@postern/storage'
import { errorText, log } from './log.ts'
import type { Settings } from './settings.ts'

/** Does what is due. What fails is logged, and due again the next time. @returns whether all was done */
export function keepUp(store: MailStore, { limits, retention }: Settings, isSweepDue: boolean): Promise<boolean> {
  const { sessionTimeoutMs, hookTimeoutMs } = LIMIT_RULES
  const deps = {
    store,
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
