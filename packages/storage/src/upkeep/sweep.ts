/** Removes data that was never committed: bytes and attachments without an envelope, and leftovers of dead writers in the backend. */
import type { BlobStore } from '../blob/contract.ts'
import { foundMail } from './found.ts'
import { keysOf, type MailKeys } from '../record/layout.ts'

export const DAY_MS: number = 24 * 60 * 60 * 1000

export interface SweepOptions {
  /** Default: one day. */
  readonly olderThanMs?: number
  /** Ends the sweep early, between two messages. */
  readonly signal?: AbortSignal
  /** Called after each message that the sweep has looked at. */
  readonly looked?: () => void
}

/** What a sweep removed. */
export interface Swept {
  /** Messages without an envelope. In a store of Maildirs: envelopes without a message. */
  readonly messages: number
  /** Temporary files and unfinished uploads of dead writers. */
  readonly temporary: number
}

/** @throws RangeError if `olderThanMs` is not a time */
export async function sweepMail(blobs: BlobStore, options: SweepOptions): Promise<Swept> {
  const { olderThanMs = DAY_MS, signal, looked } = options
  if (!Number.isFinite(olderThanMs) || olderThanMs < 0) {
    throw new RangeError(`olderThanMs: ${olderThanMs} is not a time in milliseconds`)
  }
  const before = Date.now() - olderThanMs
  let messages = 0
  for await (const { id, hasEnvelope, hasBounced, attachments } of foundMail(blobs, { sizes: false })) {
    if (signal?.aborted === true) return { messages, temporary: 0 }
    if (!hasEnvelope && !hasBounced && (await sweepOne(blobs, keysOf(id), attachments, before))) messages++
    looked?.()
  }
  return { messages, temporary: (await blobs.sweep?.(olderThanMs)) ?? 0 }
}

async function sweepOne(
  blobs: BlobStore,
  keys: MailKeys,
  attachments: readonly string[],
  before: number,
): Promise<boolean> {
  const old: string[] = []
  for (const key of [keys.bytes, ...attachments]) {
    const info = await blobs.head(key)
    if (info !== undefined && info.modifiedAt.getTime() <= before) old.push(key)
  }
  if (old.length === 0) return false
  // Looks in this order, because a bounce moves an envelope from the first place to the second.
  if ((await blobs.head(keys.envelope)) !== undefined) return false
  if ((await blobs.head(keys.bounced)) !== undefined) return false
  for (const key of old) await blobs.delete(key)
  return true
}
