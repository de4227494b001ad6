/** Blobs and mail in R2, as workerd runs it on this machine, through the binding that miniflare hands out. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Miniflare } from 'miniflare'
import { type Bucket, r2 } from '@postern/storage/r2'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { expectCode, pattern, storeContract } from './blob-contract.ts'
import { get, keysIn, put } from './blobs.ts'
import { PROXIED, SENT_BY_WORKER, withBuckets } from './contract/buckets.ts'
import type { Backend } from './contract/outcomes.ts'
import { BOUNDED, LARGE } from '../../../test/contracts/blobs/sizes.ts'
import { retentionContract } from './retention-contract.ts'

const MiB = 1024 * 1024
let miniflare: Miniflare
let next = 0

beforeAll(async () => {
  miniflare = await withBuckets()
})
afterAll(() => miniflare.dispose())

/** Returns an unused bucket. */
async function bucket(): Promise<Bucket> {
  return (await miniflare.getR2Bucket(`B${next++}`)) as unknown as Bucket
}

const backend: Backend = {
  backend: 'r2',
  make: async () => r2(await bucket()),
  // Each call from Node is slow. Inside workerd, THOROUGH=1 runs the whole contract.
  ground: { isBrief: true },
}
storeContract('blobs', { ...backend, gaps: { [LARGE]: SENT_BY_WORKER, [BOUNDED]: PROXIED } })
storeContract('mail', backend)
retentionContract('r2', async () => r2(await bucket()), { runs: 3, tests: 2 })

const PART = 5 * MiB
/** For tests in which a call is retried until its deadline. */
const BRIEFLY = { deadlineMs: 300 }

/** Wraps a bucket, and records the calls to it. */
function watched(inner: Bucket, calls: string[]): Bucket {
  return {
    head: (key) => inner.head(key),
    get: (key) => inner.get(key),
    list: (options) => inner.list(options),
    delete: (key) => inner.delete(key),
    put(key, value, options) {
      calls.push(`put ${value.length}`)
      return inner.put(key, value, options)
    },
    async createMultipartUpload(key, options) {
      const upload = await inner.createMultipartUpload(key, options)
      calls.push('create')
      return {
        uploadPart(partNumber, value) {
          calls.push(`part ${partNumber} ${value.length}`)
          return upload.uploadPart(partNumber, value)
        },
        complete(parts) {
          calls.push('complete')
          return upload.complete(parts)
        },
        abort() {
          calls.push('abort')
          return upload.abort()
        },
      }
    },
  }
}

describe('r2', () => {
  test.each([
    [PART, [`put ${PART}`]],
    [PART + 1, ['create', `part 1 ${PART}`, 'part 2 1', 'complete']],
    [3 * PART, ['create', `part 1 ${PART}`, `part 2 ${PART}`, `part 3 ${PART}`, 'complete']],
  ])('%i bytes are sent in equal parts, and a small blob in one request', async (size, expected) => {
    const calls: string[] = []
    const store = r2(watched(await bucket(), calls))
    const bytes = pattern(size)
    const writer = store.write('a')
    for (let at = 0; at < size; at += 700_001) await writer.write(bytes.subarray(at, at + 700_001))
    await writer.commit()
    expect(calls).toEqual(expected)
    expect(Buffer.compare(await get(store, 'a'), bytes)).toBe(0)
  })

  test('a large blob does not replace an existing one, and its upload is aborted', async () => {
    const calls: string[] = []
    const store = r2(watched(await bucket(), calls))
    await put(store, 'a', 'first')
    await expectCode('exists', () => put(store, 'a', pattern(PART + 1)))
    expect(calls.slice(-2)).toEqual(['part 2 1', 'abort'])
    expect((await get(store, 'a')).length).toBe(5)
  })

  test('an abort of the writer aborts the upload, also while a part is sent', async () => {
    for (const waits of [true, false]) {
      const calls: string[] = []
      const store = r2(watched(await bucket(), calls))
      const writer = store.write('a')
      const writing = Promise.resolve(writer.write(pattern(2 * PART + 1))).catch((error: unknown) => error)
      if (waits) await writing
      await writer.abort()
      await writing
      expect(calls.at(-1)).toBe('abort')
      expect(await keysIn(store)).toEqual([])
    }
  })

  /** Wraps a bucket that does each call, but loses the first so many answers. */
  function lossy(inner: Bucket, count: number): Bucket {
    let left = count
    const lose = <T>(answer: T): T => {
      if (left-- > 0) throw new Error('Network connection lost.')
      return answer
    }
    return {
      ...watched(inner, []),
      put: async (key, value, options) => lose(await inner.put(key, value, options)),
      async createMultipartUpload(key, options) {
        const upload = await inner.createMultipartUpload(key, options)
        return {
          uploadPart: (partNumber, value) => upload.uploadPart(partNumber, value),
          abort: () => upload.abort(),
          complete: async (parts) => lose(await upload.complete(parts)),
        }
      },
    }
  }

  test.each([10, PART + 1])(
    'a blob of %i bytes is stored once and its commit succeeds if an answer was lost',
    async (size) => {
      const inner = await bucket()
      await put(r2(lossy(inner, 1)), 'a', pattern(size))
      expect(Buffer.compare(await get(r2(inner), 'a'), pattern(size))).toBe(0)
      await expectCode('exists', () => put(r2(lossy(inner, 1)), 'a', pattern(size)))
    },
  )

  test('a blob for which no answer ever came is removed', async () => {
    const inner = await bucket()
    await expectCode('unavailable', () => put(r2(lossy(inner, Infinity), BRIEFLY), 'a', 'mine'))
    expect(await keysIn(r2(inner))).toEqual([])
  })

  test('a blob that another writer put meanwhile is not removed', async () => {
    const inner = await bucket()
    const rival: Bucket = {
      ...watched(inner, []),
      async put() {
        await put(r2(inner), 'a', 'another').catch(() => undefined)
        throw new Error('put: Network connection lost.')
      },
    }
    await expectCode('unavailable', () => put(r2(rival, BRIEFLY), 'a', 'mine'))
    expect((await get(r2(inner), 'a')).length).toBe(7)
  })

  test('the memory of unfinished blobs is limited, and freed however they end', async () => {
    const store = r2(await bucket(), { maxBufferedBytes: 2 * MiB })
    for (const end of ['commit', 'abort', 'fail'] as const) {
      const first = store.write(`a/${end}`, end === 'fail' ? { size: 1 } : {})
      await first.write(pattern(MiB + 1))
      const second = store.write('b')
      await expectCode('no-space', async () => second.write(pattern(MiB)))
      await second.abort()
      if (end === 'fail') await expectCode('corrupt', () => first.commit())
      else await first[end]()
    }
    await put(store, 'c', pattern(MiB))
    expect(await keysIn(store)).toEqual(['a/commit', 'c'])
    for (const maxBufferedBytes of [-1, 1.5, Number.NaN]) {
      const inner = await bucket()
      expect(() => r2(inner, { maxBufferedBytes })).toThrow(RangeError)
    }
  })

  test('the memory of an abandoned writer is freed once the writer is collected', async () => {
    const store = r2(await bucket(), { maxBufferedBytes: 2 * MiB })
    const writeAndForget = (key: string): void => void store.write(key).write(pattern(MiB + 1))
    writeAndForget('a')
    await expectCode('no-space', async () => writeAndForget('b'))
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    await vi.waitFor(
      () => {
        collect()
        writeAndForget('c')
      },
      { timeout: 30_000 },
    )
  })

  test('R2 refuses bytes that were changed on their way', async () => {
    const inner = await bucket()
    const changing: Bucket = {
      ...watched(inner, []),
      put: (key, value, options) => inner.put(key, value.with(0, 0xff) as Uint8Array<ArrayBuffer>, options),
    }
    await expectCode('corrupt', () => put(r2(changing, BRIEFLY), 'a', 'mine'))
    expect(await keysIn(r2(inner))).toEqual([])
  })

  test.each([
    ['get: Authentication error (10002)', 'denied'],
    ['get: Access Denied (10003)', 'denied'],
    ['get: Please slow down (10058)', 'unavailable'],
    ['the line is cut', 'unavailable'],
  ] as const)('%s is %s', async (message, code) => {
    const broken: Bucket = { ...watched(await bucket(), []), get: () => Promise.reject(new Error(message)) }
    await expectCode(code, () => r2(broken, BRIEFLY).read('a'))
  })
})
