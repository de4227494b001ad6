/** Writers of large objects, on a bucket that is slow or late, as R2 may be. */
import { type Bucket, r2, type UploadedPart } from '@postern/storage/r2'
import { expect, test, vi } from 'vitest'
import { expectCode, pattern } from './blob-contract.ts'

const PART = 5 * 1024 * 1024

interface Told {
  /** A call waits for this. The bytes of a part are read only afterwards, as R2's binding does. */
  before?(call: 'part' | 'head' | 'complete' | 'abort' | 'delete', count: number): Promise<void>
}

/** A bucket for one upload, and the result of the upload. */
function bucketFor({ before = async () => undefined }: Told): {
  bucket: Bucket
  calls: string[]
  stored(): Buffer | null
} {
  const calls: string[] = []
  const parts = new Map<string, Buffer>()
  let object: { bytes: Buffer; customMetadata: Record<string, string> } | null = null
  const called = async (call: Parameters<NonNullable<Told['before']>>[0]): Promise<void> => {
    calls.push(call)
    await before(call, calls.filter((other) => other === call).length)
  }
  const facts = (): { size: number; uploaded: Date } => ({ size: object?.bytes.length ?? 0, uploaded: new Date(0) })
  const bucket: Bucket = {
    async head() {
      await called('head')
      return object && { ...facts(), customMetadata: object.customMetadata }
    },
    async createMultipartUpload(_, { customMetadata = {} }) {
      return {
        async uploadPart(partNumber, value): Promise<UploadedPart> {
          await called('part')
          const etag = `${partNumber}.${parts.size}`
          parts.set(etag, Buffer.from(value))
          return { partNumber, etag }
        },
        async complete(listed) {
          await called('complete')
          object = { bytes: Buffer.concat(listed.map(({ etag }) => parts.get(etag) as Buffer)), customMetadata }
          return facts()
        },
        abort: () => called('abort'),
      }
    },
    async delete() {
      await called('delete')
      object = null
    },
    get: () => Promise.reject(new Error('not here')),
    put: () => Promise.reject(new Error('not here')),
    list: () => Promise.reject(new Error('not here')),
  }
  return { bucket, calls, stored: () => object && object.bytes }
}

test.each([64 * PART, PART])(
  'a part that is abandoned and arrives late still has its own bytes (%i)',
  async (memory) => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>()
    const { bucket, calls, stored } = bucketFor({
      async before(call, count) {
        if (call === 'part' && count === 1) await released
        if (call !== 'complete') return
        release()
        await new Promise((resolve) => setTimeout(resolve, 10))
      },
    })
    const writer = r2(bucket, { attemptMs: 200, maxBufferedBytes: 2 * memory }).write('a')
    const bytes = Buffer.from(pattern(4 * PART))
    for (let part = 0; part < 4; part++) bytes.fill(part, part * PART, part * PART + 100)
    for (let at = 0; at < bytes.length; at += 1_000_000) await writer.write(bytes.subarray(at, at + 1_000_000))
    await writer.commit()
    expect(calls.filter((call) => call === 'part')).toHaveLength(5)
    expect(stored()?.equals(bytes)).toBe(true)
  },
)

test('a commit has one deadline for all its requests', async () => {
  const { bucket, calls, stored } = bucketFor({
    before: (call) => new Promise((resolve) => setTimeout(resolve, call === 'head' ? 600 : 0)),
  })
  const writer = r2(bucket, { deadlineMs: 1_000 }).write('a')
  await writer.write(pattern(PART + 1))
  await expectCode('unavailable', () => writer.commit())
  // One head comes before the completion, one after it, which had no time left, and one before the delete that takes the object back.
  expect(calls).toEqual(['part', 'part', 'head', 'complete', 'head', 'head', 'delete', 'abort'])
  expect(stored()).toBe(null)
})

test('a request of an aborted writer is not tried again', async () => {
  // Returns the longest wait, but only here: the test runner calls Math.random as well.
  const chance = Math.random
  const isWait = (): boolean => new Error().stack?.includes('bucket/retry') === true
  const random = vi.spyOn(Math, 'random').mockImplementation(() => (isWait() ? 1 : chance()))
  try {
    const { promise: failed, resolve: fail } = Promise.withResolvers<void>()
    const { bucket, calls } = bucketFor({
      async before(call) {
        if (call !== 'part') return
        fail()
        throw new Error('Network connection lost.')
      },
    })
    // Enough memory, so that the writer goes on while the part is sent.
    const writer = r2(bucket, { maxBufferedBytes: 1024 * 1024 * 1024 }).write('a')
    await writer.write(pattern(PART + 1))
    const committing = writer.commit().catch((error: unknown) => error)
    await failed
    // Now the part waits for its next try.
    await new Promise((resolve) => setImmediate(resolve))
    await writer.abort()
    expect(await committing).toMatchObject({ code: 'unavailable' })
    expect(calls).not.toContain('complete')
    expect(calls.filter((call) => call === 'part')).toHaveLength(1)
  } finally {
    random.mockRestore()
  }
})

test('a writer cannot commit after a failed write', async () => {
  const { bucket, calls } = bucketFor({})
  const writer = r2(bucket, { maxBufferedBytes: 1_000_000 }).write('a')
  await writer.write(pattern(10))
  await expectCode('no-space', async () => writer.write(pattern(2_000_000)))
  await expectCode('unavailable', () => writer.commit())
  await writer.abort()
  expect(calls).toEqual([])
})
