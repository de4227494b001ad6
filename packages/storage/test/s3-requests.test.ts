/** Requests to S3 and its refusals, on real servers: Debian's swift, and R2's S3 API in miniflare. */
import dns from 'node:dns'
import { type BlobStore, isStorageError, type StorageErrorCode } from '@postern/storage'
import { type S3Credentials, S3Error } from '@postern/storage/s3'
import { describe, expect, vi } from 'vitest'
import { expectCode, pattern } from './blob-contract.ts'
import { get, keysIn, put } from './blobs.ts'
import { eachServer } from './servers/each.ts'
import { uploadsIn } from './servers/server.ts'
import { storeIn } from './servers/store.ts'
import { SWIFT_DOMAIN } from './servers/swift.ts'

const PART = 5 * 1024 * 1024
const { on, onBoth } = eachServer()

/** Checks that each operation of a store fails with this code and message. */
async function expectAll(store: BlobStore, code: StorageErrorCode, words: RegExp): Promise<void> {
  const large = pattern(PART + 1)
  const uses: readonly (() => Promise<unknown>)[] = [
    () => put(store, 'a'),
    () => put(store, 'a', large),
    () => get(store, 'a'),
    () => store.list(),
  ]
  for (const use of uses) {
    const error = await use().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'StorageError', code })
    expect(String(error)).toMatch(words)
  }
}

describe('credentials', () => {
  onBoth('a wrong secret or an unknown key is `denied`, and neither is repeated', async (server, bucket) => {
    const { accessKeyId, secretAccessKey } = server.credentials
    for (const credentials of [
      { accessKeyId, secretAccessKey: 'hunter2-not-this' },
      { accessKeyId: 'nobody-known', secretAccessKey },
    ]) {
      const store = storeIn(server, bucket, { credentials })
      // The answer to HEAD has no body, so it has no reason.
      await expectAll(store, 'denied', /SignatureDoesNotMatch|Unauthorized|look at a: S3 answered 403/)
      await expectCode('denied', () => store.head('a'))
      await expectCode('denied', () => store.delete('a'))
      const error: unknown = await put(store, 'a').catch((reason: unknown) => reason)
      for (let at = error; at instanceof Error; at = at.cause) {
        expect(JSON.stringify({ ...at }) + at.message).not.toMatch(/hunter2|testing/)
      }
    }
    expect(await keysIn(storeIn(server, bucket))).toEqual([])
  })

  onBoth('a wrong clock is `denied`, and the error says so', async (server, bucket) => {
    for (const hours of [-1, 1]) {
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + hours * 3_600_000 })
      try {
        const error: unknown = await storeIn(server, bucket)
          .list()
          .catch((reason: unknown) => reason)
        expect(error).toMatchObject({ code: 'denied' })
        expect(String(error)).toContain('RequestTimeTooSkewed')
      } finally {
        vi.useRealTimers()
      }
    }
  })

  onBoth('changing credentials are fetched again', async (server, bucket) => {
    let current: S3Credentials = { ...server.credentials, secretAccessKey: 'of yesterday' }
    const store = storeIn(server, bucket, { credentials: async () => current })
    await expectCode('denied', () => put(store, 'a'))
    current = server.credentials
    await put(store, 'a')
    expect(await keysIn(store)).toEqual(['a'])
  })

  const sessionToken = 'a+/token=='
  on('swift', 'a session token is signed', async (server, bucket) => {
    const store = storeIn(server, bucket, { credentials: { ...server.credentials, sessionToken } })
    for (const size of [1, PART + 1]) await put(store, `${size}`, pattern(size))
    expect(await keysIn(store)).toEqual(['1', `${PART + 1}`])
  })
  on('r2', 'a session token is sent as a header, which this server refuses by name', async (server, bucket) => {
    const store = storeIn(server, bucket, { credentials: { ...server.credentials, sessionToken } })
    await expectAll(store, 'unavailable', /InvalidArgument X-Amz-Security-Token/)
  })

  on('swift', 'a wrong region is `denied`, and the error names it', async (server, bucket) => {
    const wrong = storeIn(server, bucket, { region: 'eu-west-1' })
    await expectAll(wrong, 'denied', /'eu-west-1' is wrong; expecting 'us-east-1'/)
  })
})

describe('the endpoint', () => {
  onBoth('the error says that a bucket is unknown', async (server) => {
    await expectAll(storeIn(server, 'no-such-bucket'), 'unavailable', /NoSuchBucket/)
  })

  on('swift', 'a store works with the bucket in the host name', async (server, bucket) => {
    // The test resolves names below this one itself.
    const lookup = vi.spyOn(dns, 'lookup')
    const asked: string[] = []
    lookup.mockImplementation(((name: string, options: object, done: (...answer: unknown[]) => void) => {
      asked.push(name)
      if ('all' in options && options.all === true) done(null, [{ address: '127.0.0.1', family: 4 }])
      else done(null, '127.0.0.1', 4)
    }) as typeof dns.lookup)
    try {
      const endpoint = `http://${SWIFT_DOMAIN}:${new URL(server.endpoint).port}`
      const store = storeIn(server, bucket, { endpoint, addressing: 'virtual-host', prefix: 'p' })
      for (const size of [1, PART + 1]) await put(store, `a/${size}`, pattern(size))
      expect(await keysIn(store)).toEqual(['a/1', `a/${PART + 1}`])
      expect((await get(store, `a/${PART + 1}`)).length).toBe(PART + 1)
      await store.delete('a/1')
      expect(new Set(asked)).toEqual(new Set([`${bucket}.${SWIFT_DOMAIN}`]))
    } finally {
      lookup.mockRestore()
    }
    expect(await keysIn(storeIn(server, bucket))).toEqual([`p/a/${PART + 1}`])
  })
})

describe('encryption by the server', () => {
  on('r2', 'a put asks for AES256, and the server accepts it', async (server, bucket) => {
    const store = storeIn(server, bucket, { encryption: 'AES256' })
    for (const size of [1, PART + 1]) {
      await put(store, `${size}`, pattern(size))
      expect((await get(store, `${size}`)).length).toBe(size)
    }
  })
  on('r2', 'an unknown key management is refused, and nothing is kept', async (server, bucket) => {
    const store = storeIn(server, bucket, { encryption: 'aws:kms' })
    for (const size of [1, PART + 1]) await expectNotImplemented(() => put(store, 'a', pattern(size)))
    expect(await keysIn(store)).toEqual([])
    // Conditions still work: one of two writers wins.
    const plain = storeIn(server, bucket)
    await put(plain, 'a')
    await expectCode('exists', () => put(plain, 'a'))
  })
  on('swift', 'a put is refused if the server has no encryption, and nothing is kept', async (server, bucket) => {
    const store = storeIn(server, bucket, { encryption: 'AES256' })
    for (const size of [1, PART + 1]) await expectNotImplemented(() => put(store, 'a', pattern(size)))
    expect(await keysIn(store)).toEqual([])
    expect(await uploadsIn(server, bucket)).toEqual([])
  })
})

async function expectNotImplemented(work: () => Promise<void>): Promise<void> {
  const error: unknown = await work().catch((reason: unknown) => reason)
  expect(isStorageError(error, 'unavailable')).toBe(true)
  const { cause } = error as { cause: unknown }
  expect(cause).toBeInstanceOf(S3Error)
  expect(cause).toMatchObject({ status: 501, code: 'NotImplemented' })
}
