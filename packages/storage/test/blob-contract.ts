/** What every BlobStore has to do. A backend's test calls this with a way to make an empty store. */
import { createHash } from 'node:crypto'
import { type BlobStore, isStorageError, type StorageErrorCode } from '@postern/storage'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { get, keysIn, pages, put } from './blobs.ts'
import { bytesOf, textOf } from './mail.ts'

export const HOSTILE_KEYS: readonly string[] = [
  '',
  '.',
  '..',
  '/',
  '/etc/passwd',
  'a/',
  'a//b',
  'a/./b',
  'a/../b',
  '../b',
  'a/..',
  'a\\..\\b',
  'a\0b',
  '.hidden',
  '.tmp/x',
  'a/.b',
  'a b',
  'a\nb',
  'a:b',
  'a*',
  'ä',
  '~',
  '%2e%2e/x',
  'x'.repeat(256),
  'x/'.repeat(512) + 'x',
]

/** For tests that make many files. */
export const SLOW: { readonly timeout: number } = { timeout: 30_000 }

export interface ContractOptions {
  /** Memory that the store may take, beyond what it had, while a blob of 100 MiB goes through it; undefined: not bounded. */
  readonly maxGrowthBytes?: number
}

export function blobContract(
  name: string,
  make: () => BlobStore | Promise<BlobStore>,
  options: ContractOptions = {},
): void {
  describe(`${name}: the contract of blobs`, () => {
    test.each([0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_000])(
      '%i bytes come back as they were',
      async (size) => {
        const store = await make()
        const bytes = pattern(size)
        await put(store, 'a/b', bytes)
        expect(Buffer.compare(await get(store, 'a/b'), bytes)).toBe(0)
        expect((await store.head('a/b'))?.size).toBe(size)
      },
    )

    test('a blob of many pieces of every size, with the announced size', async () => {
      const store = await make()
      const bytes = pattern(300_000)
      const writer = store.write('pieces', { size: bytes.length, contentType: 'message/rfc822' })
      for (let at = 0, step = 1; at < bytes.length; at += step, step = (step * 3) % 70_001) {
        await writer.write(bytes.subarray(at, at + step))
      }
      await writer.commit()
      expect(Buffer.compare(await get(store, 'pieces'), bytes)).toBe(0)
    })

    test('what is written is copied before the call is over', async () => {
      const store = await make()
      const shared = new Uint8Array(100_000)
      const writer = store.write('reused')
      for (const fill of [1, 2, 3]) {
        shared.fill(fill)
        await writer.write(shared.subarray(0, fill * 30_000))
        shared.fill(0xee)
      }
      await writer.commit()
      const bytes = await get(store, 'reused')
      expect([bytes.length, bytes[29_999], bytes[30_000], bytes[90_000], bytes[179_999]]).toEqual([180_000, 1, 2, 3, 3])
    })

    test.each([
      ['fewer', 9],
      ['more', 11],
    ])('%s bytes than announced are corrupt, and no blob', async (_, size) => {
      const store = await make()
      const writer = store.write('a', { size: 10 })
      await expectCode('corrupt', async () => {
        await writer.write(pattern(size))
        await writer.commit()
      })
      await writer.abort()
      expect(await store.head('a')).toBeUndefined()
    })

    test('nothing is to be seen before the commit, nor after an abort', async () => {
      const store = await make()
      for (const size of [10, 300_000]) {
        const writer = store.write('a/b')
        await writer.write(pattern(size))
        expect(await keysIn(store)).toEqual([])
        expect(await store.head('a/b')).toBeUndefined()
        await writer.abort()
        await writer.abort()
        await expectCode('unavailable', () => writer.commit())
        await expectCode('unavailable', async () => writer.write(pattern(1)))
        expect(await keysIn(store)).toEqual([])
      }
      await put(store, 'a/b', 'the next one')
      expect(textOf(await get(store, 'a/b'))).toBe('the next one')
    })

    test('an abort while a write is under way', async () => {
      const store = await make()
      const writer = store.write('a')
      const writing = Promise.resolve(writer.write(pattern(200_000))).catch(() => undefined)
      await writer.abort()
      await writing
      expect(await keysIn(store)).toEqual([])
    })

    test('of two writers of one key one wins, and the other hears `exists`', async () => {
      const store = await make()
      const texts = ['first', 'second', 'third', 'fourth']
      const writers = texts.map(() => store.write('same'))
      for (const [index, writer] of writers.entries()) await writer.write(bytesOf(texts[index] as string))
      const results = await Promise.allSettled(writers.map((writer) => writer.commit()))
      const winners = texts.filter((_, index) => results[index]?.status === 'fulfilled')
      expect(winners).toHaveLength(1)
      for (const result of results) {
        if (result.status === 'rejected') expect(isStorageError(result.reason, 'exists')).toBe(true)
      }
      expect(textOf(await get(store, 'same'))).toBe(winners[0])
      await expectCode('exists', () => put(store, 'same', 'late'))
      expect(textOf(await get(store, 'same'))).toBe(winners[0])
    })

    test('what is not there is `not-found`, undefined, or nothing', async () => {
      const store = await make()
      await put(store, 'a/b')
      for (const key of ['x', 'a', 'a/x', 'a/b/c', 'x/y/z']) {
        await expectCode('not-found', () => store.read(key))
        expect(await store.head(key)).toBeUndefined()
      }
      await store.delete('a')
      await store.delete('x/y')
      await store.delete('x')
      expect(await keysIn(store)).toEqual(['a/b'])
      expect(await store.list({ prefix: 'no/such/' })).toEqual({ keys: [], prefixes: [] })
    })

    test('a deleted blob is gone, and its key is free', async () => {
      const store = await make()
      await put(store, 'a/b', 'one')
      await put(store, 'a/c', 'two')
      await store.delete('a/b')
      await store.delete('a/b')
      expect(await keysIn(store)).toEqual(['a/c'])
      await put(store, 'a/b', 'three')
      expect(textOf(await get(store, 'a/b'))).toBe('three')
    })

    test('a reader of what is being deleted gets the whole blob or `not-found`, never a part', async () => {
      const store = await make()
      for (const size of [10, 1_000_000]) {
        const bytes = pattern(size)
        await put(store, 'a', bytes)
        const reading = get(store, 'a').catch((error: unknown) => error)
        await store.delete('a')
        const result = await reading
        if (result instanceof Uint8Array) expect(Buffer.compare(result, bytes)).toBe(0)
        else expect(isStorageError(result, 'not-found')).toBe(true)
      }
      const bytes = pattern(1_000_000)
      await put(store, 'b', bytes)
      const chunks: Uint8Array[] = []
      for await (const chunk of (await store.read('b')).body) {
        if (chunks.length === 0) await store.delete('b')
        chunks.push(chunk)
      }
      expect(Buffer.compare(Buffer.concat(chunks), bytes)).toBe(0)
    })

    test('a reader may be left early, or closed unread', async () => {
      const store = await make()
      await put(store, 'a', pattern(1_000_000))
      for await (const chunk of (await store.read('a')).body) {
        expect(chunk.length).toBeGreaterThan(0)
        break
      }
      const unread = await store.read('a')
      await unread.close()
      await unread.close()
      expect((await get(store, 'a')).length).toBe(1_000_000)
    })

    test.each(HOSTILE_KEYS.map((key) => [key.slice(0, 20), key]))('hostile key %j', async (_, key = '') => {
      const store = await make()
      expect(() => store.write(key)).toThrow(expect.objectContaining({ code: 'invalid-key' }) as Error)
      await expectCode('invalid-key', () => store.read(key))
      await expectCode('invalid-key', () => store.head(key))
      await expectCode('invalid-key', () => store.delete(key))
      if (key !== '' && !/^[a-z/]*[a-z]\/$/.test(key))
        await expectCode('invalid-key', () => store.list({ prefix: key }))
      expect(await keysIn(store)).toEqual([])
    })

    test('more keys than a page', SLOW, async () => {
      const store = await make()
      const keys = Array.from({ length: 2345 }, (_, index) => `f${index % 7}/${String(index).padStart(5, '0')}`)
      await inParallel(keys, (key) => put(store, key, ''))
      const all = await pages(store)
      expect(all.map((page) => page.keys.length)).toEqual([1000, 1000, 345])
      expect(all.flatMap((page) => page.keys)).toEqual(keys.toSorted())
      expect((await store.list({ delimiter: '/' })).prefixes).toEqual(['f0/', 'f1/', 'f2/', 'f3/', 'f4/', 'f5/', 'f6/'])
      expect(await keysIn(store, { prefix: 'f3/01', limit: 13 })).toEqual(
        keys.filter((key) => key.startsWith('f3/01')).toSorted(),
      )
      for (const limit of [0, -1, 1.5, 1001, Number.NaN])
        await expect(store.list({ limit })).rejects.toThrow(RangeError)
    })

    test('pages are those of a sorted list, for any keys, prefix, delimiter and limit', SLOW, async () => {
      // A leaf is `k…` and a folder is `f…`, as on a disk no name can be both.
      const key = fc
        .tuple(fc.array(fc.stringMatching(/^f[a0._-]{0,2}$/), { maxLength: 3 }), fc.stringMatching(/^k[a0._-]{0,2}$/))
        .map(([folders, leaf]) => [...folders, leaf].join('/'))
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(key, { maxLength: 25 }),
          fc.constantFrom('', 'f', 'f/', 'fa/', 'fa/f', 'k', 'f0/k', 'f./'),
          fc.boolean(),
          fc.integer({ min: 1, max: 7 }),
          async (keys, prefix, rollUp, limit) => {
            const store = await make()
            for (const each of keys) await put(store, each, '')
            const got = await pages(store, { prefix, limit, ...(rollUp && { delimiter: '/' as const }) })
            const items = new Set<string>()
            for (const each of keys.toSorted()) {
              if (!each.startsWith(prefix)) continue
              const slash = rollUp ? each.indexOf('/', prefix.length) : -1
              items.add(slash === -1 ? each : each.slice(0, slash + 1))
            }
            expect(got.flatMap((page) => [...page.keys, ...page.prefixes].toSorted())).toEqual([...items])
            for (const page of got.slice(0, -1)) expect(page.keys.length + page.prefixes.length).toBe(limit)
          },
        ),
        { numRuns: 60 },
      )
    })

    test('a page tells how large each blob is, where it is asked to', async () => {
      const store = await make()
      const sizes = [0, 1, 70_000, 300_000]
      for (const size of sizes) await put(store, `f/k${String(size).padStart(6, '0')}`, pattern(size))
      await put(store, 'a', pattern(7))
      await put(store, 'g/h/i', pattern(9))
      const all = await pages(store, { sizes: true, limit: 2 })
      expect(all.flatMap((page) => page.sizes)).toEqual([7, ...sizes, 9])
      for (const page of all) expect(page.sizes).toHaveLength(page.keys.length)
      expect(await store.list({ delimiter: '/', sizes: true })).toEqual({
        keys: ['a'],
        sizes: [7],
        prefixes: ['f/', 'g/'],
      })
      expect((await store.list({ prefix: 'no/such/', sizes: true })).sizes).toEqual([])
      expect((await store.list()).sizes).toBeUndefined()
    })

    test('a listing while others write and delete holds what was there all the time, once', SLOW, async () => {
      const store = await make()
      const steady = Array.from({ length: 300 }, (_, index) => `d${index % 3}/s${String(index).padStart(4, '0')}`)
      await inParallel(steady, (key) => put(store, key, ''))
      const stop = new AbortController()
      const busy = (async () => {
        for (let i = 0; !stop.signal.aborted; i++) {
          await put(store, `d${i % 4}/w${i}`, '')
          if (i % 2 === 0) await store.delete(`d${i % 4}/w${i}`)
        }
      })()
      try {
        for (let round = 0; round < 10; round++) {
          const found = await pages(store, { limit: 17, sizes: round % 2 === 0 })
          const seen = found.flatMap((page) => page.keys)
          for (const page of found) expect(page.sizes?.length).toBe(round % 2 === 0 ? page.keys.length : undefined)
          expect(seen).toEqual([...new Set(seen)].toSorted())
          expect(seen.filter((key) => key.includes('/s'))).toEqual(steady.toSorted())
        }
      } finally {
        stop.abort()
      }
      await busy
    })

    test('100 MiB of unknown length', SLOW, async () => {
      const store = await make()
      const chunk = pattern(128 * 1024)
      const hash = createHash('sha256')
      const writer = store.write('large')
      const before = process.memoryUsage().rss
      let peak = before
      for (let i = 0; i < 800; i++) {
        chunk[0] = i & 0xff
        hash.update(chunk)
        await writer.write(chunk)
        peak = Math.max(peak, process.memoryUsage().rss)
      }
      await writer.commit()
      const again = createHash('sha256')
      for await (const piece of (await store.read('large')).body) {
        again.update(piece)
        peak = Math.max(peak, process.memoryUsage().rss)
      }
      expect(again.digest('hex')).toBe(hash.digest('hex'))
      if (options.maxGrowthBytes !== undefined) expect(peak - before).toBeLessThan(options.maxGrowthBytes)
      await store.delete('large')
    })
  })
}

export async function expectCode(code: StorageErrorCode, work: () => unknown): Promise<void> {
  await expect(Promise.resolve().then(work)).rejects.toMatchObject({ name: 'StorageError', code })
}

export function pattern(size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >> 8)) & 0xff
  return bytes
}

export async function inParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
  width = 50,
): Promise<void> {
  const left = items.values()
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of left) await work(item)
    }),
  )
}
