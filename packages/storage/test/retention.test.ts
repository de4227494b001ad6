/** Retention in memory and on disk. The other backends run the contract in their own tests. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { type BlobStore, type MailRecord, mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { memory } from '@postern/storage/memory'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Ledger } from '../src/upkeep/ledger.ts'
import { inParallel } from './blob-contract.ts'
import { keysIn } from './blobs.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { idAt, saveText } from '../../../test/contracts/mail/messages.ts'
import { bound } from '../../../test/contracts/mail/opened.ts'
import { newestThatFit, retentionContract } from './retention-contract.ts'

const directory = temporaryDirectory()
const HOUR_MS = 3_600_000

retentionContract('memory', () => memory(), { runs: 80 })
retentionContract('fs', () => fs(mkdtempSync(join(directory, 'store-'))), { runs: 15 })

test('a store whose pages have no sizes is asked for the size of each message', async () => {
  const blobs = memory()
  const old: BlobStore = {
    write: (key, options) => blobs.write(key, options),
    read: (key) => blobs.read(key),
    head: (key) => blobs.head(key),
    async list(options) {
      const { sizes: _, ...page } = await blobs.list(options)
      return page
    },
    delete: (key) => blobs.delete(key),
  }
  const mail = mailStore(old)
  const saved: MailRecord[] = []
  for (let index = 0; index < 5; index++) saved.push(await saveText(mail, idAt(index), 'x'.repeat(index)))
  const bytesOfAll = (records: readonly MailRecord[]): number => records.reduce((sum, { size }) => sum + size, 0)
  const [gone, kept] = [saved.slice(0, 2), saved.slice(2)]
  expect(await mail.expire({ maxBytes: bytesOfAll(kept) })).toEqual({ messages: 2, bytes: bytesOfAll(gone) })
  expect((await mail.list()).records).toEqual(kept.toReversed())
})

test.each([
  [{ maxCount: 0 }, 'maxCount: 0 is not'],
  [{ maxCount: 1.5 }, 'maxCount: 1.5 is not'],
  [{ maxBytes: -1 }, 'maxBytes: -1 is not'],
  [{ maxAgeMs: Number.NaN }, 'maxAgeMs: NaN is not'],
  [{ maxAgeMs: '30d' as unknown as number }, 'maxAgeMs: 30d is not'],
])('%j is refused before anything is touched', async (retention, text) => {
  const mail = mailStore(memory())
  const id = idAt(0)
  await saveText(mail, id)
  await expect(mail.expire(retention)).rejects.toThrow(new RangeError(`${text} a whole number from 1, or Infinity`))
  await (await mail.load(id)).verify()
})

test('expiry removes exactly the messages beyond the limit, however many there are', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 0, max: 2 ** 31 }),
      fc.double({ min: 0, max: 1.1, noNaN: true }),
      fc.double({ min: 0, max: 1.1, noNaN: true }),
      (messages, seed, countShare, bytesShare) => {
        const all = Array.from({ length: messages }, (_, index) => ({
          id: idAt(0, index),
          size: (index * 7919 + seed) % 1000,
        }))
        const bytes = all.reduce((sum, { size }) => sum + size, 0)
        const limits = {
          maxCount: Math.max(1, Math.round(messages * countShare)),
          maxBytes: Math.max(1, Math.round(bytes * bytesShare)),
        }
        const ledger = new Ledger()
        for (const { id, size } of all) ledger.add(id, size)
        const line = ledger.line(limits.maxCount, limits.maxBytes)
        const block = all.filter(({ id }) => line !== undefined && id >= line.first && id <= line.last)
        expect(block.length).toBeLessThan(64)
        const older = line === undefined ? 0 : all.findIndex(({ id }) => id === line.first)
        const over = older + (line?.over(block.map(({ size }) => size)) ?? 0)
        // Finds the oldest kept message, beginning with the newest.
        let [first, left] = [messages - 1, limits.maxBytes - (all.at(-1)?.size ?? 0)]
        while (first > 0 && messages - first < limits.maxCount && left >= (all[first - 1]?.size ?? 0)) {
          left -= all[--first]?.size ?? 0
        }
        expect(over).toBe(first)
      },
    ),
    { numRuns: 30 },
  )
})

test('expiry works for 5,000 messages over many pages, with bounced ones among them', async () => {
  const blobs = memory()
  const mail = mailStore(blobs)
  const start = Date.now() - 10 * HOUR_MS
  const all: { id: string; size: number }[] = []
  await inParallel([...Array(5000).keys()], async (index) => {
    const id = idAt(start + index * 5000, index)
    all.push({ id, size: (await saveText(mail, id, 'x'.repeat(index % 100))).size })
    if (index % 3 === 0) await mail.bounce(id, { reason: 'x' })
  })
  const retention = { maxCount: 3333, maxBytes: 400_000, maxAgeMs: 8 * HOUR_MS }
  const fit = newestThatFit(all, retention, Date.now())
  expect(await mail.expire(retention)).toMatchObject({ messages: 5000 - fit.length })
  expect((await keysIn(blobs)).filter((key) => key.endsWith('.eml')).map((key) => key.slice(-30, -4))).toEqual(fit)
})

test('an expiry by age alone lists only the oldest messages', async () => {
  const asked: unknown[] = []
  const blobs = memory()
  const mail = mailStore(blobs)
  await inParallel([...Array(1500).keys()], (index) => saveText(mail, idAt(Date.now(), index)))
  await saveText(mail, idAt(Date.now() - HOUR_MS))
  const watched: BlobStore = {
    ...bound(blobs),
    list: (options) => {
      asked.push(options?.prefix)
      return blobs.list(options)
    },
  }
  expect((await mailStore(watched).expire({ maxAgeMs: HOUR_MS / 2 })).messages).toBe(1)
  expect(asked.toSorted()).toEqual(['', 'attachments/', 'bounced/'])
  expect(await mailStore(watched).expire({})).toEqual({ messages: 0, bytes: 0 })
  expect(asked).toHaveLength(3)
})

test('several messages are removed at a time, each with its envelope first', async () => {
  const blobs = memory()
  await inParallel([...Array(40).keys()], (index) => saveText(mailStore(blobs), idAt(0, index)))
  const deleted: string[] = []
  let [now, most] = [0, 0]
  const far: BlobStore = {
    ...bound(blobs),
    async delete(key) {
      most = Math.max(most, ++now)
      await new Promise((resolve) => setTimeout(resolve, 1))
      deleted.push(key)
      await blobs.delete(key)
      now--
    },
  }
  expect((await mailStore(far).expire({ maxAgeMs: 1 })).messages).toBe(40)
  expect(most).toBe(16)
  for (const key of deleted.filter((key) => key.endsWith('.eml'))) {
    expect(deleted.indexOf(key.replace('.eml', '.json'))).toBeLessThan(deleted.indexOf(key))
  }
  expect(await keysIn(blobs)).toEqual([])
})

test('a failed removal is reported, and the next expiry continues', async () => {
  const blobs = memory()
  const ids = [...Array(20).keys()].map((index) => idAt(0, index))
  for (const id of ids) await saveText(mailStore(blobs), id)
  const stuck: BlobStore = {
    ...bound(blobs),
    delete: (key) => (key.includes(ids[3] as string) ? Promise.reject(new Error('power cut')) : blobs.delete(key)),
  }
  await expect(mailStore(stuck).expire({ maxAgeMs: 1 })).rejects.toThrow('power cut')
  expect((await mailStore(blobs).list()).corrupt).toEqual([])
  expect((await mailStore(blobs).expire({ maxAgeMs: 1 })).messages).toBe(5)
  expect(await keysIn(blobs)).toEqual([])
})

describe('a bounce meets', () => {
  test.each(['delete', 'expire'] as const)(
    '%s: a record never lacks its bytes, whatever the order of the steps',
    async (how) => {
      await fc.assert(
        fc.asyncProperty(fc.scheduler(), async (scheduler) => {
          const blobs = memory()
          const id = idAt(Date.now() - HOUR_MS)
          await saveText(mailStore(blobs), id)
          const mail = mailStore(scheduled(blobs, scheduler))
          const removing = how === 'delete' ? mail.delete(id) : mail.expire({ maxAgeMs: 1 })
          const bouncing = mail.bounce(id, { reason: 'x' })
          const results = Promise.allSettled([removing, bouncing])
          await scheduler.waitFor(results)
          for (const result of await results) {
            if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'not-found' })
          }
          const keys = await keysIn(blobs)
          const isWhole = keys.some((key) => key.endsWith('.eml')) && keys.some((key) => key.endsWith('.json'))
          expect(keys.length === 0 || isWhole).toBe(true)
        }),
        { numRuns: 200 },
      )
    },
  )
})

/** Wraps a store, so that each call waits for its turn. */
function scheduled(blobs: BlobStore, scheduler: fc.Scheduler): BlobStore {
  const turn = <T>(call: () => Promise<T>): Promise<T> => scheduler.schedule(Promise.resolve()).then(call)
  return {
    write(key, options) {
      const writer = blobs.write(key, options)
      return {
        write: (bytes) => writer.write(bytes),
        commit: () => turn(() => writer.commit()),
        abort: () => writer.abort(),
      }
    },
    read: (key) => turn(() => blobs.read(key)),
    head: (key) => turn(() => blobs.head(key)),
    list: (options) => turn(() => blobs.list(options)),
    delete: (key) => turn(() => blobs.delete(key)),
  }
}

test('a sweep and an expiry tell of each message that they have looked at', async () => {
  const mail = mailStore(memory())
  for (let index = 0; index < 5; index++) await saveText(mail, idAt(0, index))
  let count = 0
  const looked = (): void => void count++
  await mail.sweep({ looked })
  expect(count).toBe(5)
  count = 0
  // All five to count them, and three again to remove them.
  expect((await mail.expire({ maxCount: 2 }, { looked })).messages).toBe(3)
  expect(count).toBe(8)
})
