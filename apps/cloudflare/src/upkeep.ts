/** What a store needs from time to time: a sweep, and the removal of what is more than is to be kept. */
import { LIMIT_RULES } from '@postern/engine'
import type { MailStore } from '@postern/storage'
import { errorText, log } from './log.ts'
import type { Settings } from './settings.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** Does what is due. What fails is logged, and due again the next time. @returns whether all was done */
export async function keepUp(mail: MailStore, settings: Settings, isSweepDue: boolean): Promise<boolean> {
  const sweep = async (): Promise<void> => {
    const { messages, temporary } = await mail.sweep({ olderThanMs: sweepMs(settings) })
    if (messages + temporary > 0) log('info', 'swept what was never committed', { messages, temporary })
  }
  const expire = async (): Promise<void> => {
    const { messages, bytes } = await mail.expire(settings.retention)
    if (messages > 0) log('info', 'removed mail past what is kept', { messages, bytes })
  }
  const isSwept = !isSweepDue || (await attempt('the sweep failed', sweep))
  return (await attempt('the removal of mail past what is kept failed', expire)) && isSwept
}

async function attempt(failure: string, work: () => Promise<void>): Promise<boolean> {
  try {
    await work()
    return true
  } catch (error) {
    log('error', failure, { error: errorText(error) })
    return false
  }
}

/** Longer than a session and the last call of its hook last: what is arriving is told from what is left over by its age alone. */
function sweepMs({ limits }: Settings): number {
  const { sessionTimeoutMs, hookTimeoutMs } = LIMIT_RULES
  const session = limits.sessionTimeoutMs ?? sessionTimeoutMs.byDefault
  const hook = limits.hookTimeoutMs ?? hookTimeoutMs.byDefault
  return Math.max(DAY_MS, 2 * (session + hook))
}
