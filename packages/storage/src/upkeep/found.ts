/**
 * Finds all messages of a store, oldest first, and the blobs of each. It holds one batch of keys of each listing.
 *
 * The bytes and the envelope of a message are neighbours by their keys. The envelopes of bounced messages, and attachments that are kept
 * apart, are in two other trees in the same order, so the three listings are merged. The result is not a snapshot: a message that bounces
 * meanwhile may seem to have no envelope. So a caller that removes messages without an envelope looks again.
 */
import { keyBatches } from '../blob/batches.ts'
import type { BlobStore, KeyBatch } from '../blob/contract.ts'
import { ATTACHMENTS, idOfAttachment, idOfEnvelope, idOfMail, keysOf, PAST_YEARS, rootOf } from '../record/layout.ts'

/** The blobs of one message. */
export interface FoundMail {
  readonly id: string
  readonly hasBytes: boolean
  /** The size of the bytes and of the attachments that are kept apart; 0 if there are none, or if sizes were not asked for. */
  readonly size: number
  readonly hasEnvelope: boolean
  readonly hasBounced: boolean
  /** The keys of attachments that are kept apart. */
  readonly attachments: readonly string[]
}

/**
 * Yields every id that has a blob, ascending.
 * @param options With `sizes`, a store on a disk makes a call for each file
 */
export async function* foundMail(blobs: BlobStore, options: { readonly sizes: boolean }): AsyncGenerator<FoundMail> {
  const { sizes } = options
  const listings = [unbounced(blobs, sizes), bouncedOnes(blobs), attachmentsOf(blobs, sizes)]
  try {
    const heads = await Promise.all(listings.map((listing) => listing.next()))
    for (;;) {
      let id: string | undefined
      for (const { value, done } of heads) if (done !== true && (id === undefined || value.id < id)) id = value.id
      if (id === undefined) return
      const parts: FoundPart[] = []
      for (const [index, listing] of listings.entries()) {
        const head = heads[index] as IteratorResult<FoundPart, void>
        if (head.done === true || head.value.id !== id) continue
        parts.push(head.value)
        heads[index] = await listing.next()
      }
      yield Object.assign({ ...NOTHING_FOUND, id }, ...parts, { size: sumOf(parts) }) as FoundMail
    }
  } finally {
    await Promise.all(listings.map((listing) => listing.return()))
  }
}

/** What one listing knows of a message. */
type FoundPart = Pick<FoundMail, 'id'> & Partial<FoundMail>
type Listing = AsyncGenerator<FoundPart, void>

function sumOf(parts: readonly FoundPart[]): number {
  return parts.reduce((sum, { size = 0 }) => sum + size, 0)
}

const NOTHING_FOUND: Omit<FoundMail, 'id'> = {
  hasBytes: false,
  size: 0,
  hasEnvelope: false,
  hasBounced: false,
  attachments: [],
}

async function* unbounced(blobs: BlobStore, sizes: boolean): Listing {
  let found: FoundPart | undefined
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
      found ??= { id }
      if (key !== keys.bytes) found = { ...found, hasEnvelope: true }
      else found = { ...found, hasBytes: true, size: await sizeIn(batch, index, blobs, sizes) }
    }
  }
  if (found !== undefined) yield found
}

/** Returns the size of a blob of a batch; 0 if nobody asked for sizes. Asks for each, if the pages of the store have none. */
async function sizeIn(batch: KeyBatch, index: number, blobs: BlobStore, sizes: boolean): Promise<number> {
  if (!sizes) return 0
  return batch.sizes?.[index] ?? (await blobs.head(batch.keys[index] as string))?.size ?? 0
}

async function* bouncedOnes(blobs: BlobStore): Listing {
  for await (const { keys } of keyBatches(blobs, { prefix: rootOf(true) })) {
    for (const key of keys) {
      const id = idOfEnvelope(key)
      if (id !== undefined && keysOf(id).bounced === key) yield { id, hasBounced: true }
    }
  }
}

async function* attachmentsOf(blobs: BlobStore, sizes: boolean): Listing {
  let id: string | undefined
  let attachments: string[] = []
  let size = 0
  for await (const batch of keyBatches(blobs, { prefix: ATTACHMENTS, sizes })) {
    for (const [index, key] of batch.keys.entries()) {
      const next = idOfAttachment(key)
      if (next === undefined) continue
      if (next !== id) {
        if (id !== undefined) yield { id, attachments, size }
        id = next
        attachments = []
        size = 0
      }
      attachments.push(key)
      size += await sizeIn(batch, index, blobs, sizes)
    }
  }
  if (id !== undefined) yield { id, attachments, size }
}
