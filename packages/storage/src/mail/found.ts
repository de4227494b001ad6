/**
 * All messages of a store in the order of time, oldest first: what there is of each, in one walk that holds two pages of keys.
 *
 * Bytes and envelopes are neighbours by their keys. The envelopes of what has bounced lie in a tree of their own in the same
 * order, so the two are merged as they are listed. It is no snapshot: a message that bounces just now may look as if it had no
 * envelope, so whoever removes what has none looks again.
 */
import type { BlobStore, ListOptions } from '../blob/contract.ts'
import { idOfBytes, idOfEnvelope, keysOf, rootOf } from './layout.ts'

/** What there is of one message. */
export interface FoundMail {
  readonly id: string
  readonly hasBytes: boolean
  /** Of the bytes; 0 where there are none, or sizes were not asked for. */
  readonly size: number
  readonly hasEnvelope: boolean
  readonly hasBounced: boolean
}

/** Behind every folder of {@link rootOf} that is not of the bounced: years begin with a digit. */
const PAST_YEARS = ':'

/** Every id that there is something of, ascending. @param options `sizes`: a disk then looks at each file */
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
  for await (const { key, size } of keysIn(blobs, { prefix: rootOf(false), sizes })) {
    if (key >= PAST_YEARS) break
    const id = idOfBytes(key) ?? idOfEnvelope(key)
    // Only where it belongs: nothing could be loaded from anywhere else.
    const keys = id === undefined ? undefined : keysOf(id)
    if (id === undefined || (key !== keys?.bytes && key !== keys?.envelope)) continue
    if (found !== undefined && found.id !== id) {
      yield found
      found = undefined
    }
    found ??= { id, hasBytes: false, size: 0, hasEnvelope: false, hasBounced: false }
    if (key !== keys.bytes) found = { ...found, hasEnvelope: true }
    else found = { ...found, hasBytes: true, size: size ?? (sizes ? await sizeOf(blobs, key) : 0) }
  }
  if (found !== undefined) yield found
}

/** Of a store whose pages tell no sizes, as pages did not always. */
async function sizeOf(blobs: BlobStore, key: string): Promise<number> {
  return (await blobs.head(key))?.size ?? 0
}

async function* idsOfBounced(blobs: BlobStore): AsyncGenerator<string> {
  for await (const { key } of keysIn(blobs, { prefix: rootOf(true) })) {
    const id = idOfEnvelope(key)
    if (id !== undefined && keysOf(id).bounced === key) yield id
  }
}

async function* keysIn(
  blobs: BlobStore,
  options: ListOptions,
): AsyncGenerator<{ key: string; size: number | undefined }> {
  let cursor: string | undefined
  do {
    const page = await blobs.list(cursor === undefined ? options : { ...options, cursor })
    for (const [index, key] of page.keys.entries()) yield { key, size: page.sizes?.[index] }
    cursor = page.cursor
  } while (cursor !== undefined)
}

function onlyBounced(id: string): FoundMail {
  return { id, hasBytes: false, size: 0, hasEnvelope: false, hasBounced: true }
}
