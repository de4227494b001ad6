/** What is special to S3, on real servers: Debian's swift, and R2's S3 API as miniflare has it. */
import dns from 'node:dns'
import type { BlobStore, StorageErrorCode } from '@postern/storage'
import { isStorageError } from '@postern/storage'
import { type S3Credentials, S3Error, type S3Options } from '@postern/storage/s3'
import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { expectCode, inParallel, pattern } from './blob-contract.ts'
import { get, keysIn, pages, put } from './blobs.ts'
import { startR2 } from './servers/r2-s3.ts'
import { ask, mustAsk, type S3Server } from './servers/server.ts'
import { storeIn } from './servers/store.ts'
import { startSwift, SWIFT, SWIFT_DOMAIN } from './servers/swift.ts'
import { testWith } from '../../../test/peers/tool.ts'

const PART = 5 * 1024 * 1024
const servers: { r2?: S3Server; swift?: S3Server } = {}

beforeAll(async () => {
  const [r2, swift] = await Promise.all([startR2(), SWIFT.missing === undefined ? startSwift() : undefined])
  Object.assign(servers, { r2, swift })
})
afterAll(() => Promise.all(Object.values(servers).map((server) => server?.[Symbol.asyncDispose]())))

type Body = (server: S3Server, bucket: string) => Promise<void>

/** A test in a bucket of its own on a server. */
function on(name: 'r2' | 'swift', what: string, body: Body): void {
  testWith(name === 'swift' ? [SWIFT] : [], `${name}: ${what}`, async () => {
    const server = servers[name] as S3Server
    await body(server, await server.bucket())
  })
}

function onBoth(what: string, body: Body): void {
  for (const name of ['r2', 'swift'] as const) on(name, what, body)
}

/** Every way to use a store has to fail so, and to say this. */
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

describe('whose bucket it is', () => {
  onBoth('stores with prefixes do not see each other, nor what is beside them', async (server, bucket) => {
    const [one, two, deep] = ['mail', 'mail-2', 'mail/deep'].map((prefix) => storeIn(server, bucket, { prefix }))
    await put(one as BlobStore, 'a/b', 'one')
    await put(two as BlobStore, 'a/b', 'two')
    await put(deep as BlobStore, 'c', 'deep')
    expect(Buffer.from(await get(one as BlobStore, 'a/b')).toString()).toBe('one')
    expect(Buffer.from(await get(two as BlobStore, 'a/b')).toString()).toBe('two')
    expect(await keysIn(two as BlobStore)).toEqual(['a/b'])
    expect(await (two as BlobStore).list({ delimiter: '/' })).toEqual({ keys: [], prefixes: ['a/'] })
    expect(await keysIn(one as BlobStore)).toEqual(['a/b', 'deep/c'])
    await (two as BlobStore).delete('a/b')
    expect(await keysIn(storeIn(server, bucket))).toEqual(['mail/a/b', 'mail/deep/c'])
    expect((await mustAsk(server, 'GET', `/${bucket}/mail/a/b`)).body).toBe('one')
  })

  onBoth('what others keep there is passed over, and pages are full all the same', async (server, bucket) => {
    const store = storeIn(server, bucket, { prefix: 'mail' })
    const own = ['a', 'b/1', 'b/2', 'c', 'd']
    for (const key of own) await put(store, key)
    const foreign = ['.hidden', 'a%20b', 'b/', 'b//1', 'b/.x/1', '%C3%A4', 'b/1%26', 'c%3Ad', 'd/..e', 'z%3Cz%3E']
    for (const name of foreign) await mustAsk(server, 'PUT', `/${bucket}/mail/${name}`, { body: 'not ours' })
    for (const limit of [1, 2, 3, 1000]) {
      const found = await pages(store, { limit, sizes: true })
      expect(found.flatMap((page) => page.keys)).toEqual(own)
      expect(found.flatMap((page) => page.sizes)).toEqual(own.map((key) => key.length))
      for (const page of found.slice(0, -1)) expect(page.keys).toHaveLength(limit)
    }
    const page = await store.list({ delimiter: '/' })
    expect(page.keys).toEqual(['a', 'c', 'd'])
    expect(page.prefixes.filter((prefix) => prefix !== 'd/')).toEqual(['b/'])
    for (const name of foreign) {
      expect((await mustAsk(server, 'GET', `/${bucket}/mail/${name}`)).body, name).toBe('not ours')
    }
  })

  onBoth('an object says what it is, and whose writer made it', async (server, bucket) => {
    for (const size of [10, PART + 1]) {
      const writer = storeIn(server, bucket).write(`${size}`, { contentType: 'message/rfc822' })
      await writer.write(pattern(size))
      await writer.commit()
      const { headers } = await mustAsk(server, 'HEAD', `/${bucket}/${size}`)
      expect(headers['content-type']).toBe('message/rfc822')
      expect(headers['x-amz-meta-postern-writer']).toMatch(/^[0-9a-f-]{36}$/)
    }
  })
})

describe('who asks', () => {
  onBoth('a wrong secret or an unknown key is `denied`, and neither is repeated', async (server, bucket) => {
    const { accessKeyId, secretAccessKey } = server.credentials
    for (const credentials of [
      { accessKeyId, secretAccessKey: 'hunter2-not-this' },
      { accessKeyId: 'nobody-known', secretAccessKey },
    ]) {
      const store = storeIn(server, bucket, { credentials })
      // What answers HEAD has no body to say more in.
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

  onBoth('credentials that change are asked for anew', async (server, bucket) => {
    let current: S3Credentials = { ...server.credentials, secretAccessKey: 'of yesterday' }
    const store = storeIn(server, bucket, { credentials: async () => current })
    await expectCode('denied', () => put(store, 'a'))
    current = server.credentials
    await put(store, 'a')
    expect(await keysIn(store)).toEqual(['a'])
  })

  const session: Partial<S3Options> = {
    credentials: { accessKeyId: 'postern:tester', secretAccessKey: 'testing', sessionToken: 'a+/token==' },
  }
  on('swift', 'a session token is part of what is signed', async (server, bucket) => {
    const store = storeIn(server, bucket, session)
    for (const size of [1, PART + 1]) await put(store, `${size}`, pattern(size))
    expect(await keysIn(store)).toEqual(['1', `${PART + 1}`])
  })
  on('r2', 'a session token arrives as a header: it is refused by its name', async (server, bucket) => {
    const credentials = { ...server.credentials, sessionToken: 'a+/token==' }
    await expectAll(storeIn(server, bucket, { credentials }), 'unavailable', /InvalidArgument X-Amz-Security-Token/)
  })

  on('swift', 'a wrong region is `denied`, and named', async (server, bucket) => {
    const wrong = storeIn(server, bucket, { region: 'eu-west-1' })
    await expectAll(wrong, 'denied', /'eu-west-1' is wrong; expecting 'us-east-1'/)
  })
})

describe('where it is', () => {
  onBoth('an unknown bucket is named as such', async (server) => {
    await expectAll(storeIn(server, 'no-such-bucket'), 'unavailable', /NoSuchBucket/)
  })

  on('swift', 'the bucket in the host name', async (server, bucket) => {
    // The names below this one are nowhere but here.
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
  on('r2', 'AES256 is asked for where it is taken', async (server, bucket) => {
    const store = storeIn(server, bucket, { encryption: 'AES256' })
    for (const size of [1, PART + 1]) {
      await put(store, `${size}`, pattern(size))
      expect((await get(store, `${size}`)).length).toBe(size)
    }
  })
  on('r2', 'a key management that it has not is refused, and nothing is kept', async (server, bucket) => {
    const store = storeIn(server, bucket, { encryption: 'aws:kms' })
    for (const size of [1, PART + 1]) await expectNotImplemented(() => put(store, 'a', pattern(size)))
    expect(await keysIn(store)).toEqual([])
    // Which says nothing of conditions: of two writers still one wins.
    const plain = storeIn(server, bucket)
    await put(plain, 'a')
    await expectCode('exists', () => put(plain, 'a'))
  })
  on('swift', 'which it has not is refused, and nothing is kept', async (server, bucket) => {
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

/** The keys of uploads under way. */
async function uploadsIn(server: S3Server, bucket: string): Promise<string[]> {
  const { body } = await mustAsk(server, 'GET', `/${bucket}`, { query: { uploads: '' } })
  return [...body.matchAll(/<Upload><Key>([^<]*)</g)].map((match) => match[1] as string)
}

describe('parts', () => {
  const sizes: [number, string][] = [
    [0, ''],
    [1, ''],
    [PART - 1, ''],
    [PART, ''],
    [PART + 1, '-2'],
    [2 * PART, '-2'],
    [2 * PART + 1, '-3'],
  ]
  onBoth('up to 5 MiB one put, above that equal parts', async (server, bucket) => {
    const store = storeIn(server, bucket)
    for (const [size, parts] of sizes) {
      const bytes = pattern(size)
      await put(store, `k${size}`, bytes)
      expect(Buffer.compare(await get(store, `k${size}`), bytes)).toBe(0)
      const { headers } = await mustAsk(server, 'HEAD', `/${bucket}/k${size}`)
      // How many parts there were is behind the digest.
      expect(headers['etag'], `${size} bytes`).toMatch(new RegExp(`^"[0-9a-f]{32}${parts}"$`))
    }
  })

  on('swift', 'an upload that is given up, refused or too late leaves no parts', async (server, bucket) => {
    const store = storeIn(server, bucket)
    const aborted = store.write('aborted')
    await aborted.write(pattern(2 * PART + 1))
    expect(await uploadsIn(server, bucket)).toEqual(['aborted'])
    await aborted.abort()
    const late = store.write('late')
    await late.write(pattern(PART + 1))
    await put(store, 'late', 'first')
    await expectCode('exists', () => late.commit())
    await late.abort()
    const short = store.write('short', { size: 3 * PART })
    await short.write(pattern(2 * PART))
    await expectCode('corrupt', () => short.commit())
    await short.abort()
    expect(await uploadsIn(server, bucket)).toEqual([])
    // Not even where the server keeps them.
    const inner = await ask(server, 'GET', `/${bucket}+segments`, { query: { 'list-type': '2' } })
    expect(inner.body).not.toContain('<Key>')
    expect(await keysIn(store)).toEqual(['late'])
  })

  on('swift', 'sweep gives up old uploads of ours, and no young one', async (server, bucket) => {
    const store = storeIn(server, bucket, { prefix: 'mail' })
    for (const key of ['mail/old-1', 'mail/f/old-2', 'mail/not%20ours', 'beside', 'mail-2/a']) {
      await mustAsk(server, 'POST', `/${bucket}/${key}`, { query: { uploads: '' } })
    }
    expect(await store.sweep?.(60_000)).toBe(0)
    expect(await uploadsIn(server, bucket)).toHaveLength(5)
    const writer = store.write('young')
    await writer.write(pattern(2 * PART))
    expect(await store.sweep?.(60_000)).toBe(0)
    await writer.commit()
    expect((await get(store, 'young')).length).toBe(2 * PART)
    // Whole seconds are what the server tells.
    await vi.waitFor(async () => expect(await store.sweep?.(0)).toBe(2), { timeout: 5_000 })
    expect(await uploadsIn(server, bucket)).toEqual(['beside', 'mail-2/a', 'mail/not ours'])
    expect(await keysIn(store)).toEqual(['young'])
  })

  on('r2', 'sweep finds nothing where uploads can not be listed', async (server, bucket) => {
    const writer = storeIn(server, bucket).write('a')
    await writer.write(pattern(PART + 1))
    expect(await storeIn(server, bucket).sweep?.(0)).toBe(0)
    await writer.commit()
    expect(await keysIn(storeIn(server, bucket))).toEqual(['a'])
  })
})

describe('many', () => {
  on('r2', 'of writers of one key, each with connections of its own, one wins', async (server, bucket) => {
    for (const round of [1, 2, 3]) {
      const texts = Array.from({ length: 12 }, (_, index) => `writer ${index}`)
      const stores = texts.map(() => storeIn(server, bucket))
      const results = await Promise.allSettled(
        texts.map((text, index) => put(stores[index] as BlobStore, `${round}`, text)),
      )
      const winners = texts.filter((_, index) => results[index]?.status === 'fulfilled')
      expect(winners).toHaveLength(1)
      for (const result of results) {
        if (result.status === 'rejected') expect(isStorageError(result.reason, 'exists')).toBe(true)
      }
      const kept = await get(stores[0] as BlobStore, `${round}`)
      expect(Buffer.from(kept).toString()).toBe(winners[0])
    }
  })

  on('r2', 'more keys than the longest page', async (server, bucket) => {
    const store = storeIn(server, bucket, { prefix: 'p' })
    const keys = Array.from({ length: 1005 }, (_, index) => `f${index % 3}/${String(index).padStart(5, '0')}`)
    await inParallel(keys, (key) => put(store, key, ''), 16)
    const found = await pages(store, { sizes: true })
    expect(found.map((page) => page.keys.length)).toEqual([1000, 5])
    expect(found.flatMap((page) => page.keys)).toEqual(keys.toSorted())
    expect(found.flatMap((page) => page.sizes)).toEqual(keys.map(() => 0))
  })

  // It gives at most 100 keys at once, whatever is asked for.
  on('swift', 'a page longer than those of the server', async (server, bucket) => {
    const store = storeIn(server, bucket)
    const keys = Array.from({ length: 230 }, (_, index) => `f${index % 3}/${String(index).padStart(5, '0')}`)
    await inParallel(keys, (key) => put(store, key, ''), 16)
    expect((await store.list()).keys).toEqual(keys.toSorted())
    const found = await pages(store, { limit: 150, sizes: true })
    expect(found.map((page) => page.keys.length)).toEqual([150, 80])
    expect(found.flatMap((page) => page.keys)).toEqual(keys.toSorted())
    const folders = await pages(store, { delimiter: '/', limit: 2 })
    expect(folders.map((page) => page.prefixes)).toEqual([['f0/', 'f1/'], ['f2/']])
  })
})
