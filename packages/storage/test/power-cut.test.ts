/**
 * Every moment at which the power may be cut, by a disk that knows what is safe: before each call that the store makes,
 * with everything that may be left of what was not synced by then.
 */
import { isStorageError } from '@postern/storage'
import { expect, test } from 'vitest'
import { Random } from '../../../test/corpus/random.ts'
import { fsAt } from '../src/fs/index.ts'
import { get, put } from './blobs.ts'
import { type Choose, PowerCutDisk, ROOT } from './power-cut-disk.ts'
import { Book, expectFates, expectSwept, finish, type Scenario, SCENARIOS } from './scenarios.ts'

/** Cuts that are looked at for one moment: all there are, or as many by chance. */
const MOST_CUTS = 24

const SAFE: Choose = () => 0

test.each(SCENARIOS)('$name: all that was answered is there, whole, whenever the power is cut', async (scenario) => {
  const random = new Random(4)
  const prepared = await prepare(scenario)
  let moments = 0
  let cuts = 0
  for (let stopAt = 1; ; stopAt++) {
    const { disk, book, isOver } = await stopped(scenario, prepared, stopAt)
    for (const [choose, chance] of choices(random)) {
      await expectAfter(disk.cut(choose, chance), book)
      cuts++
    }
    moments++
    if (isOver) break
  }
  console.info(`${scenario.name}: ${moments} moments, ${cuts} power cuts`)
})

test.each(SCENARIOS)('$name: killed, done again, and then the power is cut', async (scenario) => {
  const random = new Random(5)
  const prepared = await prepare(scenario)
  for (let stopAt = 1; ; stopAt++) {
    const { disk, book, isOver } = await stopped(scenario, prepared, stopAt)
    const restarted = disk.restarted()
    const next = new Book(restarted, book.fates)
    await expectFates(next.mail, next.fates)
    await finish(next)
    for (const choose of [SAFE, random.below.bind(random), random.below.bind(random)]) {
      await expectAfter(restarted.cut(choose, choose), next)
    }
    if (isOver) break
  }
})

test('several stores and a sweep on one disk: at the moment of its answer a blob outlives a power cut', async () => {
  let answered = 0
  let removed = 0
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed)
    // Most calls are quick, and some take long.
    const disk = new PowerCutDisk({
      fileAgeMs: -60_000,
      delay: () => random.below(random.below(8) === 0 ? 80 : 3),
    })
    disk.fault = {
      after(call) {
        if (call === 'rmdir') removed++
        return undefined
      },
    }
    disk.stopAt = 1_000
    const writers = ['one', 'other', 'third'].map(async (name) => {
      const store = fsAt(disk, ROOT)
      for (let i = 0; ; i++) {
        const key = `${random.below(2)}/${random.below(2)}/${name}-${i}`
        try {
          await put(store, key)
        } catch (error) {
          // Two sweeps in a row took the directory; nothing was promised.
          if (!isStorageError(error, 'unavailable')) throw error
          continue
        }
        const left = fsAt(disk.cut(SAFE, SAFE), ROOT)
        expect(new TextDecoder().decode(await get(left, key)), `seed ${seed}`).toBe(key)
        answered++
        await store.delete(key)
      }
    })
    const sweeper = (async () => {
      const store = fsAt(disk, ROOT)
      for (;;) await store.sweep?.(0)
    })()
    await Promise.race([...writers, sweeper, disk.stopped])
  }
  expect(removed).toBeGreaterThan(100)
  console.info(`three writers and a sweep: ${answered} answers and power cuts, ${removed} directories removed`)
})

interface Prepared {
  readonly disk: PowerCutDisk
  readonly book: Book
}

async function prepare(scenario: Scenario): Promise<Prepared> {
  const disk = new PowerCutDisk()
  const book = new Book(disk)
  await scenario.prepare(book)
  return { disk, book }
}

/** The scenario on a disk that stops at this call; or is over, having made fewer. */
async function stopped(
  { run }: Scenario,
  prepared: Prepared,
  stopAt: number,
): Promise<Prepared & { readonly isOver: boolean }> {
  // What was answered long ago is safe.
  const disk = prepared.disk.cut(SAFE, SAFE)
  const book = new Book(disk, prepared.book.fates)
  disk.stopAt = stopAt
  const isOver = await Promise.race([run(book).then(() => true), disk.stopped.then(() => false)])
  return { disk, book, isOver }
}

async function expectAfter(disk: PowerCutDisk, { fates }: Book): Promise<void> {
  const book = new Book(disk, fates)
  await expectFates(book.mail, fates)
  await expectSwept(disk, book)
  await finish(book)
  await expectFates(book.mail, book.fates)
}

/** Every row of choices there is, the one of nothing but what is safe first; where they are too many, half by chance. */
function* choices(random: Random): Generator<[Choose, Choose]> {
  const chance: Choose = (count) => random.below(count)
  const path: number[] = []
  for (let cut = 0; cut < MOST_CUTS / 2; cut++) {
    const counts: number[] = []
    yield [
      (count) => {
        counts.push(count)
        return (path[counts.length - 1] ??= 0)
      },
      cut === 0 ? SAFE : chance,
    ]
    let last = counts.length - 1
    while (last >= 0 && (path[last] as number) + 1 >= (counts[last] as number)) last--
    if (last < 0) return
    path[last] = (path[last] as number) + 1
    path.length = last + 1
  }
  // Nothing is lost: what a kill leaves.
  yield [(count) => count - 1, (count) => count - 1]
  for (let cut = MOST_CUTS / 2 + 1; cut < MOST_CUTS; cut++) yield [chance, chance]
}
