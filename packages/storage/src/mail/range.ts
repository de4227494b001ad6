/** Ranges of ids, and of the keys of their envelopes. */
import { keyBatches } from '../blob/batches.ts'
import type { BlobView } from '../blob/contract.ts'
import { ENVELOPE, firstIdAt, idOfEnvelope, PAST_YEARS, rootOf, stemOf } from '../record/layout.ts'

export interface IdRange {
  readonly bounced: boolean
  /** Only ids less than this one. */
  readonly before: string | undefined
  /** Only ids that were made at this time or later. Milliseconds since 1970. */
  readonly sinceMs: number
}

/** The keys that are greater than `after` and less than `before`. */
export interface KeyRange {
  readonly bounced: boolean
  readonly after: string
  readonly before: string
}

export function keyRange({ bounced, before, sinceMs }: IdRange): KeyRange {
  return {
    bounced,
    after: sinceMs <= 0 ? rootOf(bounced) : stemOf(firstIdAt(sinceMs), bounced),
    before: before === undefined ? rootOf(bounced) + PAST_YEARS : stemOf(before, bounced),
  }
}

/** Yields the ids of the envelopes among these keys. */
export function* idsIn(keys: readonly string[], bounced: boolean): Generator<string> {
  for (const key of keys) {
    const id = idOfEnvelope(key)
    // Skips an envelope under a key that its id does not have, because no message is loaded from there.
    if (id !== undefined && `${stemOf(id, bounced)}${ENVELOPE}` === key) yield id
  }
}

/** Yields the ids that have an envelope, oldest first. Holds one batch of keys. */
export async function* oldestIds(blobs: Omit<BlobView, 'read'>, ids: IdRange): AsyncGenerator<string> {
  const { bounced, after, before } = keyRange(ids)
  for await (const { keys } of keyBatches(blobs, { after, before })) yield* idsIn(keys, bounced)
}
