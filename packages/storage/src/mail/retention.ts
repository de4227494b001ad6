/**
 * How much mail is kept: the newest messages, as far as every limit holds.
 *
 * A first walk over all messages, oldest first, finds where the newest that fit begin; a second one removes what is older, and
 * stops there. A limit on age alone needs no first walk.
 *
 * What is to go follows from what is newer than it, never from what is older. So it does no harm when others remove the oldest
 * meanwhile, another expiry among them: nothing goes that would not have gone. What arrives meanwhile is not touched.
 */
import type { BlobStore } from '../blob/contract.ts'
import { type FoundMail, foundMail } from './found.ts'
import { keysOf, timeOf } from './layout.ts'
import { Ledger } from './ledger.ts'
import { removeMail } from './removal.ts'

/** How much is kept. A limit that is left out, or Infinity, is none. Messages that bounced count as the others do. */
export interface Retention {
  /** In milliseconds, from when the message began to arrive. */
  readonly maxAgeMs?: number
  /** Messages. */
  readonly maxCount?: number
  /** Stored bytes of all messages together. The newest message stays, also where it alone is larger. */
  readonly maxBytes?: number
}

export interface ExpireOptions {
  /** Ends it early, between two messages. */
  readonly signal?: AbortSignal
}

/** What an expiry removed. Of two at the same moment, both may have counted a message. */
export interface Expired {
  readonly messages: number
  /** Of the stored messages, their records not counted. */
  readonly bytes: number
}

/** Each is three calls and more, to a store that may be far away. */
const REMOVALS_AT_ONCE = 16

/** @throws RangeError when a limit is not a whole number from 1, or Infinity */
export function checkRetention(retention: Retention): Required<Retention> {
  const { maxAgeMs = Infinity, maxCount = Infinity, maxBytes = Infinity } = retention
  for (const [name, limit] of Object.entries({ maxAgeMs, maxCount, maxBytes })) {
    if (limit !== Infinity && (!Number.isSafeInteger(limit) || limit < 1)) {
      throw new RangeError(`${name}: ${limit} is not a whole number from 1, or Infinity`)
    }
  }
  return { maxAgeMs, maxCount, maxBytes }
}

/** Removes the oldest messages until every limit holds. @param find All messages, where the keys of `blobs` don't tell. */
export async function expireMail(
  blobs: BlobStore,
  retention: Retention,
  { signal }: ExpireOptions,
  find: typeof foundMail = foundMail,
): Promise<Expired> {
  const { maxAgeMs, maxCount, maxBytes } = checkRetention(retention)
  const before = Date.now() - maxAgeMs
  const removals = new Removals(blobs)
  const ledger = new Ledger()
  if (maxCount !== Infinity || maxBytes !== Infinity) {
    for await (const mail of find(blobs, { sizes: maxBytes !== Infinity })) {
      if (signal?.aborted === true) return removals.done
      if (isMessage(mail)) ledger.add(mail.id, mail.size)
    }
  }
  const line = ledger.line(maxCount, maxBytes)
  const onTheLine: FoundMail[] = []
  for await (const mail of maxAgeMs === Infinity && line === undefined ? [] : find(blobs, { sizes: true })) {
    if (signal?.aborted === true) break
    const isOver = timeOf(mail.id) < before || (line !== undefined && mail.id < line.first)
    if (!isOver && (line === undefined || mail.id > line.last)) break
    if (!isMessage(mail)) continue
    if (isOver) await removals.add(mail)
    else onTheLine.push(mail)
  }
  if (line !== undefined && signal?.aborted !== true) {
    for (const mail of onTheLine.slice(0, line.over(onTheLine.map(({ size }) => size)))) await removals.add(mail)
  }
  await removals.finish()
  return removals.done
}

/** Bytes alone may be on their way; what never commits is a sweep's business. */
function isMessage({ hasEnvelope, hasBounced }: FoundMail): boolean {
  return hasEnvelope || hasBounced
}

/** Removes messages, a few at a time. */
class Removals {
  readonly #blobs: BlobStore
  #waiting: FoundMail[] = []
  #done: Expired = { messages: 0, bytes: 0 }

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  get done(): Expired {
    return this.#done
  }

  async add(mail: FoundMail): Promise<void> {
    this.#waiting.push(mail)
    if (this.#waiting.length >= REMOVALS_AT_ONCE) await this.finish()
  }

  async finish(): Promise<void> {
    const mails = this.#waiting
    this.#waiting = []
    const results = await Promise.allSettled(mails.map(({ id }) => removeMail(this.#blobs, keysOf(id))))
    for (const result of results) if (result.status === 'rejected') throw result.reason
    const bytes = mails.reduce((sum, { size }) => sum + size, 0)
    this.#done = { messages: this.#done.messages + mails.length, bytes: this.#done.bytes + bytes }
  }
}
