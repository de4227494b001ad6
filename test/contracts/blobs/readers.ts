/** Reading and deleting blobs, and the answers for missing ones. */
import { isStorageError, type StorageErrorCode } from '@postern/storage'
import { type Check, type Ground, type MakeStore, PART_BYTES } from './check.ts'
import { ensure, equal, expectCode, get, hasKeys, holds, joined, pattern, put, sameBytes } from './exchange.ts'

const DAY_MS = 24 * 60 * 60 * 1000

export const readers: readonly Check[] = [
  {
    name: 'a missing blob is `not-found`, undefined, or no error',
    async run(make) {
      const store = await make()
      await put(store, 'a/b')
      for (const key of ['x', 'a', 'a/x', 'a/b/c', 'x/y/z']) {
        await expectCode('not-found', () => store.read(key), `read ${key}`)
        equal(await store.head(key), undefined, `head of ${key}`)
      }
      for (const key of ['a', 'x/y', 'x']) await store.delete(key)
      await hasKeys(store, ['a/b'], 'keys')
      equal(await store.list({ prefix: 'no/such/' }), { keys: [], prefixes: [] }, 'a list of nothing')
    },
  },
  {
    name: 'head gives size and time',
    async run(make) {
      const store = await make()
      for (const size of [0, 10, PART_BYTES + 1]) {
        await put(store, `${size}`, pattern(size))
        const info = await store.head(`${size}`)
        equal(info?.size, size, 'the size')
        const off = Math.abs(Date.now() - (info?.modifiedAt.getTime() ?? 0))
        ensure(off < DAY_MS, `expected the time of the commit, got ${info?.modifiedAt.toISOString()}`)
      }
    },
  },
  {
    name: 'a deleted blob is gone, and its key is free',
    async run(make) {
      const store = await make()
      await put(store, 'a/b', 'one')
      await put(store, 'a/c', 'two')
      await store.delete('a/b')
      await store.delete('a/b')
      await expectCode('not-found', () => store.read('a/b'), 'a read of what was deleted')
      await hasKeys(store, ['a/c'], 'keys after the delete')
      await put(store, 'a/b', 'three')
      await holds(store, 'a/b', 'three')
    },
  },
  {
    name: 'a read during a delete gives the whole blob or `not-found`',
    async run(make) {
      const store = await make()
      for (const size of [10, 1_000_000, PART_BYTES + 1]) {
        const bytes = pattern(size)
        await put(store, 'a', bytes)
        const reading = get(store, 'a').catch((error: unknown) => error)
        await store.delete('a')
        const result = await reading
        if (result instanceof Uint8Array) sameBytes(result, bytes, 'what was read')
        else ensure(isStorageError(result, 'not-found'), `expected all bytes or \`not-found\`, got ${String(result)}`)
      }
    },
  },
  {
    name: 'a read gives the whole blob if it is deleted after the first piece',
    async run(make) {
      const store = await make()
      const bytes = pattern(1_000_000)
      await put(store, 'b', bytes)
      const chunks: Uint8Array[] = []
      for await (const chunk of (await store.read('b')).body) {
        if (chunks.length === 0) await store.delete('b')
        chunks.push(chunk)
      }
      sameBytes(joined(chunks), bytes, 'what was read')
    },
  },
  {
    name: 'a reader may be left early, or closed unread',
    async run(make) {
      const store = await make()
      const bytes = pattern(1_000_000)
      await put(store, 'a', bytes)
      for (let round = 0; round < 20; round++) {
        for await (const chunk of (await store.read('a')).body) {
          ensure(chunk.length > 0, 'expected bytes, got an empty piece')
          break
        }
        const unread = await store.read('a')
        await unread.close()
        await unread.close()
      }
      await holds(store, 'a', bytes)
    },
  },
  {
    name: 'many readers read one blob at the same time',
    async run(make) {
      const store = await make()
      const bytes = pattern(1_000_000)
      await put(store, 'a', bytes)
      await Promise.all(Array.from({ length: 8 }, () => holds(store, 'a', bytes)))
    },
  },
  { name: 'an error has a code, and the error of the backend as its cause', run: errorsAreCoded },
]

/** Checks the errors that a store gives without a fault. */
async function errorsAreCoded(make: MakeStore, { causes = {} }: Ground = {}): Promise<void> {
  const store = await make()
  await put(store, 'taken')
  const wrong = store.write('short', { size: 2 })
  await wrong.write(pattern(1))
  const works: [StorageErrorCode, () => unknown][] = [
    ['not-found', () => store.read('none')],
    ['exists', () => put(store, 'taken')],
    ['exists', () => put(store, 'taken', pattern(PART_BYTES + 1))],
    ['corrupt', () => wrong.commit()],
    ['invalid-key', () => store.read('../taken')],
  ]
  for (const [code, work] of works) {
    const error = await expectCode(code, work)
    equal(error.name, 'StorageError', `the name of \`${code}\``)
    ensure(error.message !== '', `\`${code}\`: expected a message, got none`)
    const said = causes[code]
    if (said === undefined) continue
    const cause = error.cause instanceof Error ? `${error.cause.name}: ${error.cause.message}` : String(error.cause)
    ensure(said.test(cause), `the cause of \`${code}\`: expected ${said}, got ${cause}`)
  }
}
