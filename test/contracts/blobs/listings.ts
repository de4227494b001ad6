/** Listings are ascending and in pages, and equal those of a sorted list. */
import fc from 'fast-check'
import type { BlobStore, KeyBatch, WalkOptions } from '@postern/storage'
import { type Check, type Ground, type MakeStore } from './check.ts'
import {
  equal,
  expectCode,
  expectRangeError,
  inParallel,
  joined,
  keysIn,
  pages,
  pattern,
  put,
  sameBytes,
} from './exchange.ts'

export const listings: readonly Check[] = [
  { name: 'all keys are listed if they are more than a page', isEssential: true, run: moreThanAPage },
  {
    name: 'an invalid limit is refused',
    async run(make) {
      const store = await make()
      for (const limit of [0, -1, 1.5, 1001, Number.NaN, Number.POSITIVE_INFINITY]) {
        await expectRangeError(() => store.list({ limit }), `limit ${limit}`)
      }
    },
  },
  { name: 'pages by any keys, prefix, delimiter and limit are those of a sorted list', run: areThoseOfASortedList },
  {
    name: 'a page has the size of each blob if the caller asks for it',
    async run(make) {
      const store = await make()
      const sizes = [0, 1, 70_000, 300_000]
      for (const size of sizes) await put(store, `f/k${String(size).padStart(6, '0')}`, pattern(size))
      await put(store, 'a', pattern(7))
      await put(store, 'g/h/i', pattern(9))
      const all = await pages(store, { sizes: true, limit: 2 })
      equal(
        all.map((page) => page.sizes),
        [
          [7, 0],
          [1, 70_000],
          [300_000, 9],
        ],
        'sizes in each page',
      )
      equal(
        await store.list({ delimiter: '/', sizes: true }),
        { keys: ['a'], sizes: [7], prefixes: ['f/', 'g/'] },
        'a page with folders',
      )
      equal((await store.list({ prefix: 'no/such/', sizes: true })).sizes, [], 'sizes of nothing')
      equal((await store.list()).sizes, undefined, 'sizes that nobody asked for')
    },
  },
  {
    name: 'a listing begins behind a key that need not exist',
    async run(make) {
      const store = await make()
      const all = ['a/1', 'a/2', 'a/3', 'b', 'c/1', 'c/d/1']
      for (const key of all) await put(store, key)
      for (const after of ['0', 'a', 'a/1', 'a/1x', 'a/3', 'b', 'c', 'c/d/1', 'd']) {
        const expected = all.filter((key) => key > after)
        equal(await keysIn(store, { after }), expected, `keys behind ${after}`)
        equal(await keysIn(store, { after, limit: 2 }), expected, `the same in pages of two`)
        const inC = expected.filter((key) => key.startsWith('c/'))
        equal(await keysIn(store, { after, prefix: 'c/' }), inC, `keys behind ${after} in c/`)
      }
      await expectCode('invalid-key', () => store.list({ after: '../x' }))
      await expectRangeError(() => store.list({ after: 'a', delimiter: '/' }), 'after and a delimiter')
    },
  },
  { name: 'a walk, if the store has one, has the keys of a sorted list in each order', run: walksInEachOrder },
  {
    name: 'a view, if the store has one, reads what it lists, and what it does not list',
    async run(make) {
      const store = await make()
      const view = store.view?.() ?? store
      const written = new Map<string, Uint8Array>()
      // Small and large blobs in two folders, in no order of their keys.
      for (const [index, size] of [0, 1, 300, 70_000, 5_000, 200_000, 64 * 1024].entries()) {
        const key = `f${index % 2}/k${(index * 5) % 7}`
        written.set(key, pattern(size))
        await putUnique(store, key, pattern(size))
      }
      const keys = [...written.keys()].toSorted()
      for await (const batch of view.walk?.({ order: 'descending' }) ?? [await view.list()]) {
        for (const key of batch.keys) sameBytes(await bytesOf(view, key), written.get(key) as Uint8Array, key)
        const all = await Promise.all(batch.keys.map((key) => bytesOf(view, key)))
        for (const [index, key] of batch.keys.entries())
          sameBytes(all[index] as Uint8Array, written.get(key) as Uint8Array, key)
      }
      equal(await keysIn(view as BlobStore), keys, 'the keys')
      await putUnique(store, 'f0/later', pattern(10))
      sameBytes(await bytesOf(view, 'f0/later'), pattern(10), 'a blob that was written later')
      await expectCode('not-found', () => view.read('f0/never'))
      await expectCode('invalid-key', () => view.read('../x'))
    },
  },
  { name: 'a listing while others write and delete holds what was there all the time, once', run: holdsWhatStays },
  {
    name: 'a cursor stays valid while keys come and go',
    async run(make) {
      const store = await make()
      const all = ['a/1', 'a/2', 'a/3', 'b/1', 'b/2', 'b/3']
      for (const key of all) await put(store, key)
      const first = await store.list({ limit: 2 })
      equal(first.keys, ['a/1', 'a/2'], 'the first page')
      // Deletes the keys before and after the cursor, and writes others on both sides.
      for (const key of ['a/2', 'a/3']) await store.delete(key)
      for (const key of ['a/0', 'b/4']) await put(store, key)
      const rest = await keysIn(store, { limit: 2, ...(first.cursor !== undefined && { cursor: first.cursor }) })
      equal(rest, ['b/1', 'b/2', 'b/3', 'b/4'], 'the other pages')
    },
  },
]

async function moreThanAPage(make: MakeStore, { isBrief = false }: Ground = {}): Promise<void> {
  const store = await make()
  // A full run uses the longest page, which is also the default.
  const [count, limit] = isBrief ? [37, 15] : [2345, 1000]
  const asked = isBrief ? { limit } : {}
  const keys = Array.from({ length: count }, (_, index) => `f${index % 7}/${String(index).padStart(5, '0')}`)
  await inParallel(keys, (key) => put(store, key, ''))
  const all = await pages(store, asked)
  equal(
    all.map((page) => page.keys.length),
    [limit, limit, count - 2 * limit],
    'keys in each page',
  )
  equal(
    all.flatMap((page) => page.keys),
    keys.toSorted(),
    'keys',
  )
  const folders = ['f0/', 'f1/', 'f2/', 'f3/', 'f4/', 'f5/', 'f6/']
  equal(await store.list({ delimiter: '/' }), { keys: [], prefixes: folders }, 'folders')
  const some = keys.filter((key) => key.startsWith('f3/00')).toSorted()
  equal(await keysIn(store, { prefix: 'f3/00', limit: isBrief ? 3 : 13 }), some, 'keys that begin with f3/00')
}

async function areThoseOfASortedList(make: MakeStore, { isBrief = false }: Ground = {}): Promise<void> {
  // Leaves begin with `k` and folders with `f`, because on a disk no name can be both.
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
        await inParallel(keys, (each) => put(store, each, ''), 5)
        const got = await pages(store, { prefix, limit, ...(rollUp && { delimiter: '/' as const }) })
        const items = new Set<string>()
        for (const each of keys.toSorted()) {
          if (!each.startsWith(prefix)) continue
          const slash = rollUp ? each.indexOf('/', prefix.length) : -1
          items.add(slash === -1 ? each : each.slice(0, slash + 1))
        }
        equal(
          got.flatMap((page) => [...page.keys, ...page.prefixes].toSorted()),
          [...items],
          'the pages',
        )
        for (const page of got) {
          equal(page.keys, page.keys.toSorted(), 'the keys of a page')
          equal(page.prefixes, page.prefixes.toSorted(), 'the prefixes of a page')
        }
        const lengths = got.slice(0, -1).map((page) => page.keys.length + page.prefixes.length)
        equal(
          lengths,
          lengths.map(() => limit),
          'items in each page but the last',
        )
      },
    ),
    { numRuns: isBrief ? 8 : 60 },
  )
}

async function walksInEachOrder(make: MakeStore, { isBrief = false }: Ground = {}): Promise<void> {
  const bound = fc.option(fc.constantFrom('f', 'fa', 'fa/', 'fa/k', 'fa/k0', 'f0/f', 'k', 'ka', 'z'), {
    nil: undefined,
  })
  const key = fc
    .tuple(fc.array(fc.stringMatching(/^f[a0]{0,1}$/), { maxLength: 2 }), fc.stringMatching(/^k[a0]{0,2}$/))
    .map(([folders, leaf]) => [...folders, leaf].join('/'))
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(key, { maxLength: 20 }),
      fc.constantFrom('', 'f', 'fa/', 'fa/k'),
      bound,
      bound,
      fc.constantFrom('ascending' as const, 'descending' as const, 'any' as const),
      async (keys, prefix, after, before, order) => {
        const store = await make()
        if (store.walk === undefined) return
        await inParallel(keys, (each) => put(store, each, each), 5)
        const options: WalkOptions = { prefix, order, ...(after && { after }), ...(before && { before }) }
        const expected = keys
          .filter((each) => each.startsWith(prefix) && each > (after ?? '') && (before === undefined || each < before))
          .toSorted()
        if (order === 'descending') expected.reverse()
        const found = await walked(store, options)
        equal(order === 'any' ? { keys: found.keys.toSorted() } : found, { keys: expected }, 'the walk')
        if (order === 'any') return
        const sizes = expected.map((each) => each.length)
        equal(await walked(store, { ...options, sizes: true }), { keys: expected, sizes }, 'the walk with sizes')
      },
    ),
    { numRuns: isBrief ? 8 : 60 },
  )
}

async function walked(store: BlobStore, options: WalkOptions): Promise<KeyBatch> {
  const keys: string[] = []
  const sizes: number[] = []
  for await (const batch of store.walk?.(options) ?? []) {
    keys.push(...batch.keys)
    sizes.push(...(batch.sizes ?? []))
  }
  return { keys, ...(options.sizes === true && { sizes }) }
}

async function putUnique(store: BlobStore, key: string, bytes: Uint8Array): Promise<void> {
  const writer = store.write(key, { hasUniqueKey: true })
  await writer.write(bytes)
  await writer.commit()
}

async function bytesOf(store: Pick<BlobStore, 'read'>, key: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of (await store.read(key)).body) chunks.push(chunk)
  return joined(chunks)
}

async function holdsWhatStays(make: MakeStore, { isBrief = false }: Ground = {}): Promise<void> {
  const store = await make()
  const [count, rounds] = isBrief ? [60, 2] : [300, 10]
  const steady = Array.from({ length: count }, (_, index) => `d${index % 3}/s${String(index).padStart(4, '0')}`)
  await inParallel(steady, (key) => put(store, key, ''))
  const stop = new AbortController()
  let written = 0
  const busy = (async () => {
    for (; !stop.signal.aborted; written++) {
      await put(store, `d${written % 4}/w${written}`, '')
      if (written % 2 === 0) await store.delete(`d${written % 4}/w${written}`)
    }
  })()
  try {
    for (let round = 0; round < rounds; round++) {
      const withSizes = round % 2 === 0
      const found = await pages(store, { limit: 17, sizes: withSizes })
      const seen = found.flatMap((page) => page.keys)
      for (const page of found) {
        equal(page.sizes?.length, withSizes ? page.keys.length : undefined, 'how many sizes there are in a page')
      }
      equal(seen, [...new Set(seen)].toSorted(), 'the keys seen')
      equal(
        seen.filter((key) => key.includes('/s')),
        steady.toSorted(),
        'the keys that stay',
      )
    }
  } finally {
    stop.abort()
    await busy
  }
  equal(written > 0, true, 'something was written meanwhile')
}
