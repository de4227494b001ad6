/** What a store needs from time to time: a sweep, and the removal of what is more than is to be kept. */
import type { Limits } from '@postern/engine'
import type { MailStore, Retention } from '@postern/storage'
import type { Fields } from './observe.ts'

/** What upkeep works with. */
export interface UpkeepDeps {
  readonly store: MailStore
  readonly retention: Retention
  /** What never committed is swept when it is older: see {@link sweepMs}. */
  readonly olderThanMs: number
  /** Told of what was removed. */
  removed(message: string, fields: Fields): void
  /** Told of what failed: `the sweep failed`. It is due again the next time. */
  failed(message: string, error: unknown): void
}

type SessionLimits = Pick<Limits, 'sessionTimeoutMs' | 'hookTimeoutMs'>

const DAY_MS = 24 * 3_600_000

/**
 * What never committed is told from what is arriving by nothing but its age: so it has to be older than a session, and the last
 * call of its hook, can last, with as much again for clocks that differ.
 */
export function shortestSweepMs({ sessionTimeoutMs, hookTimeoutMs }: SessionLimits): number {
  return 2 * (sessionTimeoutMs + hookTimeoutMs)
}

/** A day, or where sessions may last that long, longer. */
export function sweepMs(limits: SessionLimits): number {
  return Math.max(DAY_MS, shortestSweepMs(limits))
}

/** Removes mail past what is kept, and sweeps first if that is due. @returns whether all was done */
export async function keepUp(deps: UpkeepDeps, isSweepDue: boolean, signal?: AbortSignal): Promise<boolean> {
  const { store, retention, olderThanMs, removed } = deps
  const ending = signal === undefined ? {} : { signal }
  const sweep = async (): Promise<void> => {
    const { messages, temporary } = await store.sweep({ olderThanMs, ...ending })
    if (messages + temporary > 0)
      removed('removed leftovers of messages that were not committed', { messages, temporary })
  }
  const expire = async (): Promise<void> => {
    if (Object.values(retention).every((limit) => limit === Infinity)) return
    const { messages, bytes } = await store.expire(retention, ending)
    if (messages > 0) removed('removed mail past the retention limits', { messages, bytes })
  }
  const isSwept = !isSweepDue || (await attempt(deps, 'the sweep failed', sweep, signal))
  return (await attempt(deps, 'the removal of mail past the retention limits failed', expire, signal)) && isSwept
}

async function attempt(
  { failed }: UpkeepDeps,
  message: string,
  work: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (signal?.aborted === true) return false
  try {
    await work()
    return true
  } catch (error) {
    // What was told to end has not failed; it ends while it works.
    if (!isAborted(signal)) failed(message, error)
    return false
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
