/** A blob appears whole, once, or not at all. */
import { isStorageError } from '@postern/storage'
import { type Check, type MakeStore, PART_BYTES } from './check.ts'
import { ensure, equal, expectCode, hasKeys, holds, pattern, put } from './exchange.ts'

/** Sizes of blobs that are held in memory, written early, and sent in parts. */
const SIZES = [10, 300_000, PART_BYTES + 1]

export const writers: readonly Check[] = [
  {
    name: 'nothing is visible before the commit',
    isEssential: true,
    async run(make) {
      const store = await make()
      for (const size of SIZES) {
        const writer = store.write('a/b')
        await writer.write(pattern(size))
        await hasKeys(store, [], `keys with ${size} bytes written`)
        equal(await store.head('a/b'), undefined, `head with ${size} bytes written`)
        await expectCode('not-found', () => store.read('a/b'), `a read with ${size} bytes written`)
        await writer.commit()
        await hasKeys(store, ['a/b'], 'keys after the commit')
        await store.delete('a/b')
      }
    },
  },
  {
    name: 'an aborted write leaves nothing, and its key is free',
    isEssential: true,
    async run(make) {
      const store = await make()
      for (const size of [0, ...SIZES]) {
        const writer = store.write('a/b')
        await writer.write(pattern(size))
        await writer.abort()
        await writer.abort()
        await expectCode('unavailable', () => writer.commit(), 'commit after abort')
        await expectCode('unavailable', async () => writer.write(pattern(1)), 'write after abort')
        await hasKeys(store, [], `keys after the abort of ${size} bytes`)
        equal(await store.head('a/b'), undefined, `head after the abort of ${size} bytes`)
      }
      await put(store, 'a/b', 'the next one')
      await holds(store, 'a/b', 'the next one')
    },
  },
  {
    name: 'an abort during a write leaves nothing',
    async run(make) {
      const store = await make()
      for (const size of [200_000, 2 * PART_BYTES + 1]) {
        const writer = store.write('a')
        const writing = Promise.resolve(writer.write(pattern(size))).catch(() => undefined)
        await writer.abort()
        await writing
        await hasKeys(store, [], `keys after the abort of ${size} bytes`)
      }
      await put(store, 'a', 'the next one')
      await holds(store, 'a', 'the next one')
    },
  },
  {
    name: 'a writer accepts nothing after its commit, and an abort then changes nothing',
    async run(make) {
      const store = await make()
      for (const size of SIZES) {
        const writer = store.write(`${size}`)
        await writer.write(pattern(size))
        await writer.commit()
        await expectCode('unavailable', async () => writer.write(pattern(1)), 'write after commit')
        await expectCode('unavailable', () => writer.commit(), 'commit after commit')
        await writer.abort()
        await holds(store, `${size}`, pattern(size))
      }
    },
  },
  { name: 'if two writers use one key, one commits and the other gets `exists`', isEssential: true, run: oneWins },
  {
    name: 'a failed commit leaves only what was there before',
    async run(make) {
      const store = await make()
      await put(store, 'same', 'first')
      for (const size of SIZES) {
        const writer = store.write('same')
        const late = async (): Promise<void> => {
          await writer.write(pattern(size))
          await writer.commit()
        }
        await expectCode('exists', late, `${size} bytes to a taken key`)
        await expectCode('unavailable', () => writer.commit(), 'a second commit')
        await writer.abort()
        await holds(store, 'same', 'first')
        await hasKeys(store, ['same'], 'keys')
      }
      await store.delete('same')
      await put(store, 'same', 'second')
      await holds(store, 'same', 'second')
    },
  },
]

async function oneWins(make: MakeStore): Promise<void> {
  const store = await make()
  for (let round = 0; round < 5; round++) {
    const key = `round/${round}`
    const texts = ['first', 'second', 'third', 'fourth']
    const all = texts.map(() => store.write(key))
    for (const [index, writer] of all.entries()) await writer.write(new TextEncoder().encode(texts[index]))
    const results = await Promise.allSettled(all.map((writer) => writer.commit()))
    const winners = texts.filter((_, index) => results[index]?.status === 'fulfilled')
    equal(winners.length, 1, 'how many won')
    for (const result of results) {
      if (result.status === 'fulfilled') continue
      ensure(isStorageError(result.reason, 'exists'), `expected \`exists\`, got ${String(result.reason)}`)
    }
    await holds(store, key, winners[0] as string)
    await expectCode('exists', () => put(store, key, 'late'), 'a late writer')
    await holds(store, key, winners[0] as string)
  }
}
