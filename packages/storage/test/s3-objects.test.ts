/** The objects in a bucket, on real S3 servers: Debian's swift, and R2's S3 API in miniflare. */
import { type BlobStore, isStorageError } from '@postern/storage'
import { describe, expect, vi } from 'vitest'
import { expectCode, inParallel, pattern } from './blob-contract.ts'
import { get, keysIn, pages, put } from './blobs.ts'
import { SWIFT } from '../../../test/kit/abilities.ts'
import { sample } from '../../../test/kit/sample.ts'
import { eachServer } from './servers/each.ts'
import { ask, mustAsk, uploadsIn } from './servers/server.ts'
import { storeIn } from './servers/store.ts'

const PART = 5 * 1024 * 1024
const { on, onBoth } = eachServer()

describe('a bucket with other users', () => {
  onBoth('stores with prefixes see neither each other nor other objects of the bucket', async (server, bucket) => {
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

  onBoth('foreign objects are skipped, and pages are still full', async (server, bucket) => {
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

  onBoth('the name of a download is in the object, whatever it has in it, and is cut', async (server, bucket) => {
    const store = storeIn(server, bucket)
    for (const [fileName, simple, encoded] of [
      ['a"b\\c/d%e;f.txt', 'a_b_c_d_e;f.txt', 'a%22b_c_d%25e%3Bf.txt'],
      ['🐦\ud800é*\r\nX: y', '___*__X: y', '%F0%9F%90%A6%EF%BF%BD%C3%A9%2A%0D%0AX%3A%20y'],
      ['🐦'.repeat(500), '_'.repeat(100), '%F0%9F%90%A6'.repeat(100)],
    ] as const) {
      const key = encoded.length.toString()
      const writer = store.write(key, { contentType: 'text/plain', fileName })
      await writer.write(pattern(10))
      await writer.commit()
      const { headers } = await mustAsk(server, 'HEAD', `/${bucket}/${key}`)
      expect(headers['content-disposition']).toBe(`attachment; filename="${simple}"; filename*=UTF-8''${encoded}`)
    }
  })

  onBoth('an object has its content type and the id of its writer', async (server, bucket) => {
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

describe('keys', () => {
  onBoth(
    'the longest key that fits behind the prefix is accepted, and one byte more is refused',
    async (server, bucket) => {
      const prefix = `${'p'.repeat(200)}/${'q'.repeat(200)}`
      const store = storeIn(server, bucket, { prefix })
      const room = 1024 - prefix.length - 1
      const key = `${'k'.repeat(200)}/`.repeat(4).slice(0, room - 1) + 'e'
      await put(store, key)
      expect(await keysIn(store)).toEqual([key])
      expect(Buffer.from(await get(store, key)).toString()).toBe(key)
      const longer = `${key}x`
      for (const use of [() => put(store, longer), () => get(store, longer), () => store.head(longer)]) {
        await expectCode('invalid-key', use)
      }
      await expectCode('invalid-key', () => store.delete(longer))
      await expectCode('invalid-key', () => put(store, longer, pattern(PART + 1)))
      await store.delete(key)
      expect(await keysIn(store)).toEqual([])
    },
  )
})

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
  onBoth('a blob up to 5 MiB is one put, and a larger one is equal parts', async (server, bucket) => {
    const store = storeIn(server, bucket)
    for (const [size, parts] of sample(sizes, 3, server.name.length)) {
      const bytes = pattern(size)
      await put(store, `k${size}`, bytes)
      expect(Buffer.compare(await get(store, `k${size}`), bytes)).toBe(0)
      const { headers } = await mustAsk(server, 'HEAD', `/${bucket}/k${size}`)
      // The number of parts follows the digest.
      expect(headers['etag'], `${size} bytes`).toMatch(new RegExp(`^"[0-9a-f]{32}${parts}"$`))
    }
  })

  on('swift', 'an upload that is aborted, refused or too late leaves no parts', async (server, bucket) => {
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
    // Also none in the container where the server keeps them.
    const inner = await ask(server, 'GET', `/${bucket}+segments`, { query: { 'list-type': '2' } })
    expect(inner.body).not.toContain('<Key>')
    expect(await keysIn(store)).toEqual(['late'])
  })

  on('swift', 'a sweep aborts old uploads of the store, and no young one', async (server, bucket) => {
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
    // The server gives times in whole seconds, so a sweep may find one of them first.
    let removed = 0
    const sweep = async (): Promise<number> => (removed += (await store.sweep?.(0)) ?? 0)
    await vi.waitFor(async () => expect(await sweep()).toBe(2), { timeout: 30_000 })
    expect(await uploadsIn(server, bucket)).toEqual(['beside', 'mail-2/a', 'mail/not ours'])
    expect(await keysIn(store)).toEqual(['young'])
  })

  on('r2', 'a sweep finds nothing if uploads cannot be listed', async (server, bucket) => {
    const writer = storeIn(server, bucket).write('a')
    await writer.write(pattern(PART + 1))
    expect(await storeIn(server, bucket).sweep?.(0)).toBe(0)
    await writer.commit()
    expect(await keysIn(storeIn(server, bucket))).toEqual(['a'])
  })
})

describe('many', () => {
  on('r2', 'one of several writers of one key wins, each with its own connections', async (server, bucket) => {
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

  // Swift checks whether a name is free, and then takes it in a second step.
  on('swift', 'several writers of one key may win, and the blob of one is kept whole', async (server, bucket) => {
    for (const size of [100_000, PART + 100_000]) {
      const store = storeIn(server, bucket)
      const all = [1, 2, 3].map((fill) => new Uint8Array(size + fill).fill(fill))
      const results = await Promise.allSettled(all.map((bytes) => put(store, `${size}`, bytes)))
      for (const result of results) {
        if (result.status === 'rejected') expect(isStorageError(result.reason, 'exists')).toBe(true)
      }
      const kept = await get(store, `${size}`)
      const winner = all.findIndex((bytes) => Buffer.compare(bytes, kept) === 0)
      expect(results[winner]?.status).toBe('fulfilled')
      await expectCode('exists', () => put(store, `${size}`, 'late'))
    }
    expect(await uploadsIn(server, bucket)).toEqual([])
  })

  // Swift removes a large object part by part.
  on('swift', 'a read of an object that is being deleted is whole or fails', async (server, bucket) => {
    const store = storeIn(server, bucket)
    for (const [size, codes] of [
      [10, ['not-found']],
      [1_000_000, ['not-found']],
      [2 * PART, ['not-found', 'unavailable']],
    ] as const) {
      const bytes = pattern(size)
      await put(store, 'a', bytes)
      const reading = Promise.allSettled([get(store, 'a'), get(store, 'a'), get(store, 'a')])
      await store.delete('a')
      for (const result of await reading) {
        if (result.status === 'fulfilled') expect(Buffer.compare(result.value, bytes)).toBe(0)
        else expect(codes).toContain((result.reason as { code?: string }).code)
      }
    }
  })

  /** By default one of the two, which make hundreds of objects. */
  const pagesOf = sample(['r2', 'swift'], SWIFT.missing === undefined ? 1 : 2)

  if (pagesOf.includes('r2')) {
    on('r2', 'a listing is complete with more keys than the longest page holds', async (server, bucket) => {
      const store = storeIn(server, bucket, { prefix: 'p' })
      const keys = Array.from({ length: 1005 }, (_, index) => `f${index % 3}/${String(index).padStart(5, '0')}`)
      await inParallel(keys, (key) => put(store, key, ''), 16)
      const found = await pages(store, { sizes: true })
      expect(found.map((page) => page.keys.length)).toEqual([1000, 5])
      expect(found.flatMap((page) => page.keys)).toEqual(keys.toSorted())
      expect(found.flatMap((page) => page.sizes)).toEqual(keys.map(() => 0))
    })
  }

  if (pagesOf.includes('swift')) {
    // Swift returns at most 100 keys at once, whatever limit is asked for.
    on('swift', 'a page may be longer than those of the server', async (server, bucket) => {
      const store = storeIn(server, bucket)
      const keys = Array.from({ length: 130 }, (_, index) => `f${index % 3}/${String(index).padStart(5, '0')}`)
      await inParallel(keys, (key) => put(store, key, ''), 16)
      expect((await store.list()).keys).toEqual(keys.toSorted())
      const found = await pages(store, { limit: 120, sizes: true })
      expect(found.map((page) => page.keys.length)).toEqual([120, 10])
      expect(found.flatMap((page) => page.keys)).toEqual(keys.toSorted())
      const folders = await pages(store, { delimiter: '/', limit: 2 })
      expect(folders.map((page) => page.prefixes)).toEqual([['f0/', 'f1/'], ['f2/']])
    })
  }
})
