import type { BlobStore } from '../blob/contract.ts'
import type { MailKeys } from './layout.ts'

/**
 * Removes a message, durably: the envelopes first, so that at no time there is one whose bytes are gone.
 *
 * A bounce at the same moment may write its envelope after the first look for it. Either it then sees that the bytes are gone,
 * and takes the envelope back, or it wrote it before the bytes went, and the second look finds it.
 */
export async function removeMail(blobs: BlobStore, keys: MailKeys): Promise<void> {
  await blobs.delete(keys.envelope)
  await blobs.delete(keys.bounced)
  await blobs.delete(keys.bytes)
  await blobs.delete(keys.bounced)
}
