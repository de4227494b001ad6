import type { BlobView, KeyBatch, WalkOptions } from './contract.ts'

/** Iterates over keys in ascending order: with one walk if the store can walk, else in pages. */
export async function* keyBatches(
  blobs: Omit<BlobView, 'read'>,
  options: Omit<WalkOptions, 'order'>,
): AsyncGenerator<KeyBatch> {
  if (blobs.walk !== undefined) return yield* blobs.walk(options)
  const { before, ...asked } = options
  let cursor: string | undefined
  do {
    const page = await blobs.list({ ...asked, ...(cursor !== undefined && { cursor }) })
    const end = before === undefined ? -1 : page.keys.findIndex((key) => key >= before)
    yield end === -1 ? page : { keys: page.keys.slice(0, end), ...(page.sizes && { sizes: page.sizes.slice(0, end) }) }
    cursor = end === -1 ? page.cursor : undefined
  } while (cursor !== undefined)
}
