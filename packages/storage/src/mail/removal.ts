import type { BlobStore } from '../blob/contract.ts'
import type { MailKeys } from './layout.ts'

/**
 * Removes a message, durably. It removes the envelopes first, so that no envelope ever lacks its bytes.
 *
 * A bounce at the same moment may write its envelope after this removed that key. If the bounce then sees that the bytes are gone,
 * it removes the envelope itself. If it wrote the envelope before the bytes were removed, the last delete here removes it.
 */
export async function removeMail(blobs: BlobStore, keys: MailKeys): Promise<void> {
  await blobs.delete(keys.envelope)
  await blobs.delete(keys.bounced)
  await blobs.delete(keys.bytes)
  await blobs.delete(keys.bounced)
}
