/** What the queue has of a message in the store: its recipients elsewhere, and those to whom a rule sends it on. */
import { isQueueError, type QueueEntry } from '@postern/relay'
import { described, isoTime } from '@postern/relay/entries'
import type { Settings } from '../../config/settings.ts'
import { Failure } from '../../host/failure.ts'
import { withQueue } from './opening.ts'

/** A rule and a domain have a copy of the message each. The server makes no more. */
const MAX_COPIES = 100
const COPIES: readonly string[] = Array.from({ length: MAX_COPIES }, (_, at) => `.${at + 1}`)
const SUFFIXES: readonly string[] = ['', ...COPIES, ...COPIES.map((copy) => `${copy}.delivery`)]

/** Returns the entries that send the message of the store. None if there is no queue. @throws Failure if the queue can't be read */
export async function entriesOf(settings: Settings, id: string): Promise<readonly QueueEntry[]> {
  const entries: QueueEntry[] = []
  try {
    await withQueue(settings, async ({ queue }) => {
      const found = await Promise.all(SUFFIXES.map((suffix) => queue.get(id + suffix)))
      entries.push(...found.filter((entry) => entry !== undefined))
    })
  } catch (error) {
    const isMissing = error instanceof Failure && isQueueError(error.cause) && error.cause.code === 'not-found'
    if (!isMissing) throw error
  }
  return entries
}

/** The times and counts of all entries of a message together. */
export interface SendingSummary {
  /** The most attempts that were made for one recipient. */
  readonly attempts: number
  /** When the next attempt is, in UTC. Missing if nobody waits for one, or if one is due. */
  readonly postponedUntil?: string
  /** How many recipients were given up. */
  readonly failedCount: number
}

export function summaryOf(entries: readonly QueueEntry[]): SendingSummary {
  const deliveries = entries.flatMap((entry) => entry.deliveries)
  const open = deliveries.filter(({ state }) => state === 'waiting' || state === 'due')
  const isDue = open.some(({ state }) => state === 'due')
  const recipients = deliveries.flatMap((delivery) => delivery.recipients)
  return {
    attempts: Math.max(0, ...recipients.map(({ attempts }) => attempts)),
    ...(open.length > 0 && !isDue && { postponedUntil: isoTime(Math.min(...open.map(({ dueAt }) => dueAt))) }),
    failedCount: recipients.filter(({ state }) => state === 'failed').length,
  }
}

/** Returns the sending of a message as JSON has it; undefined if the queue has nothing of it. */
export function describedSending(entries: readonly QueueEntry[]): Readonly<Record<string, unknown>> | undefined {
  return entries.length === 0 ? undefined : { ...summaryOf(entries), entries: entries.map(described) }
}
