/**
 * Finds all messages of a store, oldest first, and the blobs of each. It holds one batch of keys of each listing.
 *
 * The bytes and the envelope of a message are neighbours by their keys. The envelopes of bounced messages are in
 * another tree in the same order, so the two listings are merged. The result is not a snapshot: a message that bounces
 * meanwhile may seem to have no envelope. So a caller that removes messages without an envelope looks again.
 */
import { keyBatches } from '../blob/batches.ts'
import type { BlobStore } from '../blob/contract.ts'
import { idOfEnvelope, idOfMail, keysOf, PAST_YEARS, rootOf } from './layout.ts'

/** The blobs of one message. */
export interface FoundMail {
  readonly id: string
  readonly hasBytes: boolean
  /** The size of the bytes; 0 if there are none, or if sizes were not asked for. */
  readonly size: number
  readonly hasEnvelope: boolean
  readonly hasBounced: boolean
}

/**
 * Yields every id that has a blob, ascending.
 * @param options With `sizes`, a store on a disk makes a call for each file
 */
export async function* foundMail(blobs: BlobStore, options: { readonly sizes: boolean }): AsyncGenerator<FoundMail> {
  const bounced = idsOfBounced(blobs)
  let next = await bounced.next()
  for await (const found of unbounced(blobs, options.sizes)) {
    for (; next.done !== true && next.value < found.id; next = await bounced.next()) yield onlyBounced(next.value)
    const hasBounced = next.done !== true && next.value === found.id
    if (hasBounced) next = await bounced.next()
    yield { ...found, hasBounced }
  }
  for (; next.done !== true; next = await bounced.next()) yield onlyBounced(next.value)
}

async function* unbounced(blobs: BlobStore, sizes: boolean): AsyncGenerator<FoundMail> {
  let found: FoundMail | undefined
  for await (const batch of keyBatches(blobs, { prefix: rootOf(false), before: PAST_YEARS, sizes })) {
    for (const [index, key] of batch.keys.entries()) {
      const id = idOfMail(key)
      // Skips a blob under a key that its id does not have, because no message is loaded from there.
      const keys = id === undefined ? undefined : keysOf(id)
      if (id === undefined || (key !== keys?.bytes && key !== keys?.envelope)) continue
      if (found !== undefined && found.id !== id) {
        yield found
        found = undefined
      }
      found ??= { id, hasBytes: false, size: 0, hasEnvelope: false, hasBounced: false }
      if (key !== keys.bytes) found = { ...found, hasEnvelope: true }
      else found = { ...found, hasBytes: true, size: batch.sizes?.[index] ?? (sizes ? await sizeOf(blobs, key) : 0) }
    }
  }
  if (found !== undefined) yield found
}

/** Asks for each size, for a store whose pages have none. */
async function sizeOf(blobs: BlobStore, key: string): Promise<number> {
  return (await blobs.head(key))?.size ?? 0
}

async function* idsOfBounced(blobs: BlobStore): AsyncGenerator<string> {
  for await (const { keys } of keyBatches(blobs, { prefix: rootOf(true) })) {
    for (const key of keys) {
      const id = idOfEnvelope(key)
      if (id !== undefined && keysOf(id).bounced === key) yield id
    }
  }
}

function onlyBounced(id: string): FoundMail {
  return { id, hasBytes: false, size: 0, hasEnvelope: false, hasBounced: true }
}
