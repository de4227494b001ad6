/** Only R2 and S3 understand their cursors. A caller may neither interpret a cursor nor make one. */
import type { BlobStore } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { storeContract } from './blob-contract.ts'
import { bound } from '../../../test/contracts/mail/opened.ts'

storeContract('mail', { backend: 'cursors that mean nothing', make: async () => sealed(memory()) })

function sealed(blobs: BlobStore): BlobStore {
  const cursors = new Map<string, string>()
  return {
    ...bound(blobs),
    async list({ cursor, ...options } = {}) {
      const key = cursor === undefined ? undefined : cursors.get(cursor)
      if (cursor !== undefined && key === undefined) throw new Error(`nobody gave the cursor ${cursor}`)
      const { cursor: next, ...page } = await blobs.list({ ...options, ...(key !== undefined && { cursor: key }) })
      if (next === undefined) return page
      // Sorts above every key, as a cursor of R2 may do.
      const seal = `~${crypto.randomUUID()}`
      cursors.set(seal, next)
      return { ...page, cursor: seal }
    },
  }
}
