import { keyBatches } from '../blob/batches.ts'
import type { BlobStore } from '../blob/contract.ts'
import { attachmentsPrefix, type MailKeys } from '../record/layout.ts'

/**
 * Removes a message, durably. It removes the envelopes first, so that no envelope ever lacks its bytes or attachments.
 *
 * A bounce at the same moment may write its envelope after this removed that key. If the bounce then sees that the bytes are gone,
 * it removes the envelope itself. If it wrote the envelope before the bytes were removed, the last delete here removes it.
 *
 * @param attachments The keys of the attachments that are kept apart
 */
export async function removeMail(blobs: BlobStore, keys: MailKeys, attachments: readonly string[]): Promise<void> {
  await blobs.delete(keys.envelope)
  await blobs.delete(keys.bounced)
  await blobs.delete(keys.bytes)
  await blobs.delete(keys.bounced)
  for (const key of attachments) await blobs.delete(key)
}

/** Returns the keys of the attachments of a message that are kept apart. Its record need not be readable. */
export async function attachmentKeys(blobs: BlobStore, id: string): Promise<readonly string[]> {
  const found: string[] = []
  for await (const { keys } of keyBatches(blobs, { prefix: attachmentsPrefix(id) })) found.push(...keys)
  return found
}
