/**
 * Cuts the power before each call that the store makes, on a simulated disk that knows what is synced, and tries each state that
 * unsynced data may have then.
 */
import { isStorageError } from '@postern/storage'
import { expect, test } from 'vitest'
import { Random } from '../../../test/kit/random.ts'
import { chance as chanceOf, isThorough } from '../../../test/kit/sample.ts'
import { fsAt } from '../src/fs/index.ts'
import { get, put } from './blobs.ts'
import { PowerCutDisk, ROOT } from './power-cut-disk.ts'
import { choices, cutAtCalls, killAtCalls, SAFE, threeCuts } from './power-cuts.ts'
import { Book, expectFates, expectSwept, finish, SCENARIOS } from './scenarios.ts'

const SLOW = { timeout: 120_000 }

test.each(SCENARIOS)(
  '$name: each answered message is there and whole, whenever the power is cut',
  SLOW,
  async (scenario) => {
    const random = chanceOf(4)
    await cutAtCalls(scenario, { cuts: () => choices(random), expectAfter })
  },
)

test.each(SCENARIOS)(
  '$name: each answered message survives if the store is killed, repeats the work, and then the power is cut',
  SLOW,
  async (scenario) => {
    const random = chanceOf(5)
    await killAtCalls(scenario, { cuts: () => threeCuts(random), expectAfter })
  },
)

test(
  'with several stores and a sweep on one disk, a blob survives a power cut from the moment it is answered',
  SLOW,
  async () => {
    let answered = 0
    let removed = 0
    for (let seed = 1; seed <= (isThorough ? 200 : 50); seed++) {
      const random = new Random(seed)
      // Most calls are short, and some take long.
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
          const key = `202${random.below(2)}/0${random.below(2)}/${name}-${i}`
          try {
            await put(store, key)
          } catch (error) {
            // Two sweeps in a row removed the directory, so the blob was not answered.
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
  },
)

async function expectAfter(disk: PowerCutDisk, { fates }: Book): Promise<void> {
  const book = new Book(disk, fates)
  await expectFates(book.mail, fates)
  await expectSwept(disk, book)
  await finish(book)
  await expectFates(book.mail, book.fates)
}
