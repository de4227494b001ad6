/**
 * Keeps as many of the newest messages as all limits allow, and removes the others.
 *
 * A first walk over all messages, oldest first, finds the oldest message that is kept. A second walk removes those
 * before it, and stops there. A limit on age alone needs no first walk.
 *
 * The decision to remove a message depends only on newer messages. So another process may remove the oldest ones
 * meanwhile, and this one still removes nothing that it should keep. It does not touch messages that arrive meanwhile.
 */
import type { BlobStore } from '../blob/contract.ts'
import { type FoundMail, foundMail } from './found.ts'
import { keysOf, timeOf } from '../record/layout.ts'
import { Ledger } from './ledger.ts'
import { removeMail } from './removal.ts'

/**
 * How much mail is kept. If a limit is missing or Infinity, there is no such limit. Bounced messages count as the
 * others do.
 */
export interface Retention {
  /** Milliseconds since the message began to arrive. */
  readonly maxAgeMs?: number
  /** The greatest number of messages. */
  readonly maxCount?: number
  /**
   * The greatest number of stored bytes, of all messages and attachments together. The newest message stays, even if it alone is
   * larger.
   */
  readonly maxBytes?: number
}

export interface ExpireOptions {
  /** Ends the expiry early, between two messages. */
  readonly signal?: AbortSignal
  /** Called after each message that the expiry has looked at; limits on count and size look at each message twice. */
  readonly looked?: () => void
}

/** What an expiry removed. Two that run at the same time may both count a message. */
export interface Expired {
  readonly messages: number
  /** The bytes of the messages and of their attachments that are kept apart, without their records. */
  readonly bytes: number
}

/** A removal needs three calls or more, to a store that may be far away. */
const REMOVALS_AT_ONCE = 16

/**
 * Fills in missing limits.
 * @throws RangeError if a limit is not a whole number from 1, or Infinity
 */
export function checkRetention(retention: Retention): Required<Retention> {
  const { maxAgeMs = Infinity, maxCount = Infinity, maxBytes = Infinity } = retention
  for (const [name, limit] of Object.entries({ maxAgeMs, maxCount, maxBytes })) {
    if (limit !== Infinity && (!Number.isSafeInteger(limit) || limit < 1)) {
      throw new RangeError(`${name}: ${limit} is not a whole number from 1, or Infinity`)
    }
  }
  return { maxAgeMs, maxCount, maxBytes }
}

/**
 * Removes the oldest messages until no limit is exceeded.
 * @param find Finds all messages, if the keys of `blobs` are not enough
 */
export async function expireMail(
  blobs: BlobStore,
  retention: Retention,
  { signal, looked }: ExpireOptions,
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
      looked?.()
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
    looked?.()
  }
  if (line !== undefined && signal?.aborted !== true) {
    for (const mail of onTheLine.slice(0, line.over(onTheLine.map(({ size }) => size)))) await removals.add(mail)
  }
  await removals.finish()
  return removals.done
}

/** Bytes without an envelope may belong to a message that is arriving. Otherwise a sweep removes them. */
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
    const results = await Promise.allSettled(
      mails.map(({ id, attachments }) => removeMail(this.#blobs, keysOf(id), attachments)),
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason
    const bytes = mails.reduce((sum, { size }) => sum + size, 0)
    this.#done = { messages: this.#done.messages + mails.length, bytes: this.#done.bytes + bytes }
  }
}
