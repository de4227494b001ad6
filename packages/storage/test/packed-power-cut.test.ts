/** Cuts the power at every moment while mail is kept in packs, and checks what is left in them. */
import { isStorageError } from '@postern/storage'
import { expect, test } from 'vitest'
import { Random } from '../../../test/kit/random.ts'
import { chance as chanceOf, isThorough } from '../../../test/kit/sample.ts'
import type { Disk } from '../src/disk/disk.ts'
import { packedAt } from '../src/fs/index.ts'
import { get, put } from './blobs.ts'
import { unique } from './contract/machine.ts'
import { PACKED } from './fs-layouts.ts'
import { idAt } from '../../../test/contracts/mail/messages.ts'
import { PowerCutDisk, ROOT } from './power-cut-disk.ts'
import { choices, cutAtCalls, killAtCalls, SAFE, threeCuts } from './power-cuts.ts'
import { Book, expectFates, finish, listWhole, type Scenario, SCENARIOS } from './scenarios.ts'

const SLOW = { timeout: 120_000 }
const CUTS = isThorough ? 12 : 4

const NOW = Date.parse('2026-11-21T05:42:00Z')
const [FIRST, SECOND, THIRD] = [0, 1, 2].map((index) => idAt(NOW, index)) as [string, string, string]

/** Saves each message through a store of its own, so that one folder has several packs. */
async function inPacksOfTheirOwn(book: Book): Promise<void> {
  for (const id of [FIRST, SECOND, THIRD]) {
    const other = new Book(book.disk, book.fates, PACKED.open)
    await other.save(id, 10)
    book.fates.set(id, 'kept')
  }
}

const SEVERAL: readonly Scenario[] = [
  {
    name: 'deletes until nothing is left',
    prepare: inPacksOfTheirOwn,
    async run(book) {
      for (const id of [FIRST, SECOND, THIRD]) await book.delete(id)
    },
  },
  {
    name: 'packs that delete blobs of one another, and a sweep',
    async prepare(book) {
      const [one, other] = [0, 1].map(() => new Book(book.disk, book.fates, PACKED.open)) as [Book, Book]
      await one.save(FIRST, 10)
      await other.save(SECOND, 10)
      await other.save(THIRD, 10)
      await one.delete(SECOND)
      await other.delete(FIRST)
      for (const id of [FIRST, SECOND]) book.fates.set(id, 'deleted')
      book.fates.set(THIRD, 'kept')
    },
    async run(book) {
      await book.mail.sweep({ olderThanMs: 5_000 })
      await book.delete(THIRD)
      await book.mail.sweep({ olderThanMs: 5_000 })
    },
  },
]

const TRIED = [...SCENARIOS, ...SEVERAL]

test.each(TRIED)(
  '$name: each answered message is there and whole, whenever the power is cut',
  SLOW,
  async (scenario) => {
    const random = chanceOf(4)
    await cutAtCalls(scenario, { ...PACKED, cuts: () => choices(random, CUTS), expectAfter })
  },
)

test.each(TRIED.filter(({ name }) => /delete|sweep|at once/.test(name)))(
  '$name: each answered message survives if the store is killed, repeats the work, and then the power is cut',
  SLOW,
  async (scenario) => {
    const random = chanceOf(5)
    await killAtCalls(scenario, { ...PACKED, cuts: () => threeCuts(random), expectAfter })
  },
)

test(
  'with several stores and a sweep on one disk, a blob and a delete survive a power cut from the moment they are answered',
  SLOW,
  async () => {
    let answered = 0
    let ended = 0
    let removed = 0
    for (let seed = 1; seed <= (isThorough ? 60 : 20); seed++) {
      const random = new Random(seed)
      // Most calls are short, and some take long.
      const disk = new PowerCutDisk({
        fileAgeMs: 120_000,
        delay: () => random.below(random.below(8) === 0 ? 80 : 3),
      })
      disk.fault = {
        after(call) {
          if (call === 'link') ended++
          if (call === 'unlink') removed++
          return undefined
        },
      }
      disk.stopAt = 1_000
      const writers = ['one', 'other', 'third'].map(async (name) => {
        const store = unique(packedAt(disk, ROOT))
        for (let i = 0; ; i++) {
          const key = `202${random.below(2)}/0${random.below(2)}/${name}-${i}`
          try {
            await put(store, key)
          } catch (error) {
            // Two sweeps in a row removed the directory or the pack, so the blob was not answered.
            if (!isStorageError(error, 'unavailable')) throw error
            continue
          }
          const left = packedAt(disk.cut(SAFE, SAFE), ROOT)
          expect(new TextDecoder().decode(await get(left, key)), `seed ${seed}`).toBe(key)
          answered++
          // A sweep does not remove it either.
          for (let turns = random.below(300); turns > 0; turns--) await Promise.resolve()
          expect(new TextDecoder().decode(await get(store, key)), `seed ${seed}`).toBe(key)
          try {
            await store.delete(key)
          } catch (error) {
            if (!isStorageError(error, 'unavailable')) throw error
            continue
          }
          const choose = random.below.bind(random)
          for (const cut of [SAFE, choose, choose]) {
            expect(await packedAt(disk.cut(cut, cut), ROOT).head(key), `seed ${seed}`).toBeUndefined()
          }
        }
      })
      const sweeper = (async () => {
        const store = packedAt(disk, ROOT)
        for (;;) await store.sweep?.(0)
      })()
      await Promise.race([...writers, sweeper, disk.stopped])
    }
    expect(ended).toBeGreaterThan(100)
    expect(removed).toBeGreaterThan(100)
    console.info(
      `three writers and a sweep: ${answered} answers and power cuts, ${ended} packs ended, ${removed} names removed`,
    )
  },
)

test('a blob that was written into a pack during its sweep does not come back after a delete', async () => {
  const [first, key] = ['2026/11/first', '2026/11/key']
  const disk = new PowerCutDisk()
  const writer = unique(packedAt(disk, ROOT))
  await put(writer, first)
  await packedAt(disk, ROOT).delete(first)
  const random = chanceOf(6)
  const choose = random.below.bind(random)
  let cuts = 0
  const interrupted = new Proxy(disk, {
    get(target, name: keyof Disk & keyof PowerCutDisk) {
      const call = (target[name] as (...args: unknown[]) => Promise<unknown>).bind(target)
      return async (...args: unknown[]): Promise<unknown> => {
        const result = await call(...args)
        if (name !== 'link' || cuts > 0) return result
        await put(writer, key)
        await writer.delete(key)
        while (cuts++ < 100) expect(await packedAt(disk.cut(choose, choose), ROOT).head(key)).toBeUndefined()
        return result
      }
    },
  })
  await packedAt(interrupted, ROOT).sweep?.(0)
  expect(cuts).toBeGreaterThan(0)
})

async function expectAfter(disk: PowerCutDisk, { fates }: Book): Promise<void> {
  const book = new Book(disk, fates, PACKED.open)
  await expectFates(book.mail, fates)
  await book.mail.sweep({ olderThanMs: 0 })
  await expectFates(book.mail, fates)
  await finish(book)
  await expectFates(book.mail, book.fates)
  // Once every blob is deleted, no file is left.
  const { kept, bounced } = await listWhole(book.mail)
  for (const id of new Set([...kept, ...bounced])) await book.mail.delete(id)
  const last = new Book(disk, book.fates, PACKED.open)
  await last.mail.sweep({ olderThanMs: 0 })
  expect(disk.files()).toEqual([])
}
