/** Regular work on a store: the sweep of leftovers, and the removal of mail past the retention limits. */
import type { Limits } from '@postern/engine'
import type { MailStore, Retention } from '@postern/storage'
import type { Fields } from './observe.ts'

/** What upkeep needs. */
export interface UpkeepDeps {
  readonly store: MailStore
  readonly retention: Retention
  /** The sweep removes leftovers that are older than this: see {@link sweepMs}. */
  readonly olderThanMs: number
  /** Reports what was removed. */
  removed(message: string, fields: Fields): void
  /** Reports what failed: `the sweep failed`. The caller tries again the next time. */
  failed(message: string, error: unknown): void
}

type SessionLimits = Pick<Limits, 'sessionTimeoutMs' | 'hookTimeoutMs'>

const DAY_MS = 24 * 3_600_000

/**
 * Returns the smallest age of leftovers that a sweep may remove. Only its age distinguishes a leftover from a message
 * that is arriving. So the age must be longer than a session and its last hook can take. It is twice that, because
 * clocks may differ.
 */
export function shortestSweepMs({ sessionTimeoutMs, hookTimeoutMs }: SessionLimits): number {
  return 2 * (sessionTimeoutMs + hookTimeoutMs)
}

/** Returns the usual age for a sweep: a day, or more if sessions may last that long. */
export function sweepMs(limits: SessionLimits): number {
  return Math.max(DAY_MS, shortestSweepMs(limits))
}

/** Removes mail past the retention limits, and sweeps first if that is due. @returns whether everything succeeded */
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
    // An error after the abort is not a failure.
    if (!isAborted(signal)) failed(message, error)
    return false
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}
