/** `postern sweep`: removes leftovers of messages that were not committed, and mail past the retention limits. */
import { shortestSweepMs, sweepMs } from '@postern/intake'
import type { Expired, Swept } from '@postern/storage'
import { Failure } from '../../host/failure.ts'
import { refused } from './mail.ts'
import { print, printJson } from '../../host/output.ts'
import { Progress } from '../reading/progress.ts'
import { formatQuantity, formatSize, parseQuantity } from '../../config/values/quantity.ts'
import type { Settings } from '../../config/settings.ts'
import { openExistingStore } from '../../serve/store/store.ts'
import { retentionOf } from '../../serve/upkeep.ts'

/** The flags of `postern sweep` that are not options of the server. */
export interface SweepFlags {
  readonly olderThan?: string
  readonly json?: boolean
}

/**
 * Removes both and prints how much; with `json` as one object: `{ swept, expired }`.
 * @throws Failure, even if a part was removed
 */
export async function sweep(settings: Settings, flags: SweepFlags): Promise<void> {
  const olderThanMs = olderThan(settings, flags.olderThan)
  const store = await openExistingStore(settings)
  const progress = new Progress(true, undefined)
  const looked = (): void => progress.add()
  try {
    const swept = await store.sweep({ olderThanMs, looked })
    const expired = await store.expire(retentionOf(settings.options), { looked })
    progress.clear()
    await (flags.json === true ? printJson({ swept, expired }) : print(said(swept, expired)))
  } catch (error) {
    progress.clear()
    throw refused(error)
  }
}

function olderThan({ options }: Settings, text: string | undefined): number {
  if (text === undefined) return sweepMs(options)
  const shortest = shortestSweepMs(options)
  const value = parseQuantity(text, 'time')
  if (value >= shortest && value !== Infinity) return value
  throw new Failure(
    `--older-than: ${JSON.stringify(text)} is not a time such as 1d, from ${formatQuantity(shortest, 'time')}: ` +
      'it must be at least twice the sum of --session-timeout-ms and --hook-timeout-ms, so that mail that is arriving stays',
  )
}

function said(swept: Swept, expired: Expired): string {
  return [
    `removed leftovers: ${counted(swept.messages, 'message')}, ${counted(swept.temporary, 'temporary file')}`,
    `removed past the retention limits: ${counted(expired.messages, 'message')}, ${formatSize(expired.bytes)}`,
    '',
  ].join('\n')
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
