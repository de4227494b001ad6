import type { BlobReader } from '../blob/contract.ts'
import { Digest } from '../blob/digest.ts'
import { StorageError } from '../blob/error.ts'

/**
 * Yields the bytes of a blob, and compares size and SHA-256 with those that are expected.
 * @param name Begins the message of an error
 * @throws StorageError `corrupt`, at the latest in place of the end
 */
export async function* verified(
  blob: BlobReader,
  expected: { readonly size: number; readonly sha256: string },
  name: string,
): AsyncGenerator<Uint8Array> {
  const { size, sha256 } = expected
  // Checked before the first byte, so that no caller gets more bytes than the record says.
  if (blob.size !== size) {
    await blob.close()
    throw new StorageError('corrupt', `${name}: ${blob.size} bytes are stored, not ${size}`)
  }
  const digest = new Digest()
  for await (const chunk of blob.body) {
    digest.update(chunk)
    if (digest.size > size) break
    yield chunk
  }
  if (digest.size !== size || digest.finish() !== sha256) {
    throw new StorageError('corrupt', `${name}: the stored bytes do not match its record`)
  }
}
