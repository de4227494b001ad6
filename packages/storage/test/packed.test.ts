/** Packs: which entries of a cut or changed pack count, when packs are removed, and how a directory of packs is opened. */
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type BlobStore, type BlobWriter, type MailStore, mailStore, type WholeBlob } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { memory } from '@postern/storage/memory'
import { describe, expect, test, vi } from 'vitest'
import { fsOn } from '../src/fs/index.ts'
import { expectCode, inParallel, pattern, SLOW } from './blob-contract.ts'
import { get, keysIn, put } from './blobs.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { unique } from './contract/machine.ts'
import { countingDisk, systemError, watchedDisk } from './disks.ts'
import { idAt, saveText } from '../../../test/contracts/mail/messages.ts'
import { allPages, idsOf } from '../../../test/contracts/mail/opened.ts'

const parent = temporaryDirectory()
const NOW = Date.parse('2026-11-21T05:42:00Z')
const MINUTE = '2026/11/21/0542'

function freshDirectory(): string {
  return mkdtempSync(join(parent, 'store-'))
}

function packed(directory: string): BlobStore {
  return unique(fs(directory, { layout: 'packed' }))
}

function packsIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes('.pack-'))
    .toSorted()
}

/** Sets the times two minutes back. */
function age(directory: string): void {
  const then = new Date(Date.now() - 120_000)
  for (const path of packsIn(directory)) utimesSync(join(directory, path), then, then)
}

describe('group commit', () => {
  test('a hundred concurrent saves share fsyncs, one after the other', SLOW, async () => {
    const { disk, counts } = countingDisk()
    const mail = mailStore(fsOn(disk, freshDirectory(), { layout: 'packed' }))
    const ids = Array.from({ length: 500 }, (_, index) => idAt(NOW, index))
    await inParallel(ids, (id) => saveText(mail, id), 100)
    const fsyncs = counts.get('fsync') as number
    console.log(`fsyncs a message, 100 saves at once, in packs: ${(fsyncs / ids.length).toFixed(3)}`)
    expect(fsyncs).toBeLessThan(ids.length / 5)
    for (const id of ids) await (await mail.load(id)).verify()
  })

  test('no commit is answered before an fsync that began after its bytes were written', SLOW, async () => {
    let written = 0
    let safe = 0
    const disk = watchedDisk(async () => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
    })
    const store = unique(
      fsOn(
        {
          ...disk,
          async write(file, bytes, offset, length) {
            const count = await disk.write(file, bytes, offset, length)
            written += (Buffer.from(bytes).toString('latin1').match(/body/g) ?? []).length
            return count
          },
          async fsync(file) {
            const until = written
            await disk.fsync(file)
            safe = Math.max(safe, until)
          },
        },
        freshDirectory(),
        { layout: 'packed' },
      ),
    )
    let answered = 0
    const keys = Array.from({ length: 60 }, (_, index) => `d/${index}`)
    await inParallel(
      keys,
      async (key) => {
        await put(store, key, 'body')
        expect(++answered).toBeLessThanOrEqual(safe)
      },
      20,
    )
    expect(answered).toBe(60)
  })

  test('one small blob needs only a few calls to the disk', async () => {
    const { disk, counts } = countingDisk()
    const store = unique(fsOn(disk, freshDirectory(), { layout: 'packed' }))
    await put(store, 'a/first')
    counts.clear()
    await put(store, 'a/second', pattern(10_000))
    expect(Object.fromEntries(counts)).toEqual({ write: 1, fsync: 1, lstat: 1 })
  })

  test('a large blob does not list its folder, however many files are there', async () => {
    const { disk, counts } = countingDisk()
    const store = unique(fsOn(disk, freshDirectory(), { layout: 'packed' }))
    await put(store, 'a/first', pattern(100_000))
    counts.clear()
    await put(store, 'a/second', pattern(100_000))
    expect(counts.get('link')).toBe(1)
    expect(counts.get('readdir')).toBeUndefined()
    for (const key of ['a/first', 'a/second']) await expectCode('exists', () => put(store, key, pattern(100_000)))
  })

  test('a store keeps writing to its pack after listing the folder failed', async () => {
    const directory = freshDirectory()
    const keys = ['a/1', 'a/2', 'a/3']
    for (const key of keys) await put(packed(directory), key)
    let looks = 0
    const disk = watchedDisk((call) => {
      if (call === 'readdir' && ++looks === 2) throw systemError('EMFILE', call)
    })
    const store = unique(fsOn(disk, directory))
    await Promise.allSettled([store.delete('a/1')])
    expect(looks).toBeGreaterThan(1)
    for (const key of keys) await store.delete(key)
    expect(await keysIn(packed(directory))).toEqual([])
    expect(packsIn(directory)).toHaveLength(4)
  })

  test('one of several concurrent writers of a deleted key wins', async () => {
    const store = packed(freshDirectory())
    await put(store, 'a/key')
    await store.delete('a/key')
    const results = await Promise.allSettled(['one', 'other', 'third'].map((text) => put(store, 'a/key', text)))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('after a failed write or sync the store leaves the pack unchanged and begins another', async () => {
    for (const call of ['write', 'fsync', 'lstat'] as const) {
      const directory = freshDirectory()
      let isFailing = false
      const disk = watchedDisk((name) => {
        if (isFailing && name === call) throw systemError('EIO', call)
      })
      const store = unique(fsOn(disk, directory, { layout: 'packed' }))
      await put(store, 'a/first')
      const [first] = packsIn(directory) as [string]
      const { size } = statSync(join(directory, first))
      isFailing = true
      const failed = await Promise.allSettled(['a/second', 'a/third'].map((key) => put(store, key)))
      expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
      isFailing = false
      await put(store, 'a/second', 'again')
      expect(statSync(join(directory, first)).size).toBe(size)
      expect(packsIn(directory)).toHaveLength(2)
      for (const each of [store, packed(directory)]) {
        expect(await keysIn(each)).toEqual(['a/first', 'a/second'])
        expect(Buffer.from(await get(each, 'a/second')).toString()).toBe('again')
      }
    }
  })
})

describe('two blobs that are committed together', () => {
  const FIRST = 'a/message.eml'
  const SECOND = 'a/message.json'
  const bytes = Buffer.from('the second')

  function begin(store: BlobStore, key = FIRST): BlobWriter {
    const writer = store.write(key)
    void writer.write(Buffer.from('the first'))
    return writer
  }

  test('need one fsync, and if the pack is cut, the second is never there without the first', async () => {
    const { disk, counts } = countingDisk()
    const directory = freshDirectory()
    const store = unique(fsOn(disk, directory, { layout: 'packed' }))
    await put(store, 'a/before')
    counts.clear()
    await store.commitBoth?.(begin(store), { key: SECOND, bytes })
    expect(Object.fromEntries(counts)).toEqual({ write: 1, fsync: 1, lstat: 1 })
    const [name] = packsIn(directory) as [string]
    const pack = readFileSync(join(directory, name))
    const seen = new Set<string>()
    for (let length = 0; length <= pack.length; length++) {
      writeFileSync(join(directory, name), pack.subarray(0, length))
      seen.add((await keysIn(packed(directory))).join())
    }
    const before = 'a/before'
    expect([...seen]).toEqual(['', before, `${before},${FIRST}`, `${before},${FIRST},${SECOND}`])
    expect(Buffer.from(await get(packed(directory), SECOND)).toString()).toBe('the second')
  })

  test('that cannot be committed together change nothing, and the first may be committed alone', async () => {
    const directory = freshDirectory()
    const store = packed(directory)
    const large = begin(store, 'a/large')
    await large.write(pattern(100_000))
    const cases: [BlobWriter, WholeBlob][] = [
      [begin(store, 'a/1'), { key: 'a/2', bytes: pattern(64 * 1024 + 1) }],
      [begin(store, 'a/3'), { key: 'b/4', bytes }],
      [large, { key: 'a/5', bytes }],
    ]
    for (const [first, second] of cases) {
      expect(store.commitBoth?.(first, second)).toBeUndefined()
      await first.commit()
    }
    expect(await keysIn(packed(directory))).toEqual(['a/1', 'a/3', 'a/large'])
    const other = memory().write('a/6')
    expect(store.commitBoth?.(other, { key: 'a/7', bytes })).toBeUndefined()
  })

  test('are both missing if one key is invalid or taken', async () => {
    const directory = freshDirectory()
    const store = packed(directory)
    await put(store, SECOND, 'was there')
    const first = begin(store)
    await expectCode('invalid-key', () => store.commitBoth?.(first, { key: 'a/../b', bytes }))
    await expectCode('exists', () => store.commitBoth?.(first, { key: SECOND, bytes }))
    await first.abort()
    expect(await keysIn(packed(directory))).toEqual([SECOND])
    expect(Buffer.from(await get(store, SECOND)).toString()).toBe('was there')
  })
})

describe('a pack that was cut or changed', () => {
  /** A pack of one store: two blobs, and two more of one batch. */
  async function four(): Promise<{ directory: string; pack: string; bytes: Buffer }> {
    const directory = freshDirectory()
    const store = packed(directory)
    await put(store, 'a/1', 'the first')
    // While the second is written, the others wait, and then form one batch.
    await Promise.all(['a/2', 'a/3', 'a/4'].map((key) => put(store, key, TEXTS.get(key))))
    const [name] = packsIn(directory) as [string]
    const pack = join(directory, name)
    return { directory, pack, bytes: readFileSync(pack) }
  }

  const TEXTS = new Map([
    ['a/1', 'the first'],
    ['a/2', 'the second'],
    ['a/3', 'the third'],
    ['a/4', 'the fourth'],
  ])

  async function wholeKeys(directory: string): Promise<string[]> {
    const store = packed(directory)
    const keys = await keysIn(store)
    for (const key of keys) expect(Buffer.from(await get(store, key)).toString(), key).toBe(TEXTS.get(key))
    return keys
  }

  test('has only its whole blobs, if it is cut at any byte', async () => {
    const { directory, pack, bytes } = await four()
    let most = 0
    for (let length = 0; length <= bytes.length; length++) {
      writeFileSync(pack, bytes.subarray(0, length))
      const keys = await wholeKeys(directory)
      expect(keys).toEqual([...TEXTS.keys()].slice(0, keys.length))
      expect(keys.length).toBeGreaterThanOrEqual(most)
      most = keys.length
    }
    expect(most).toBe(4)
  })

  test('has only whole blobs, if it has zeros from any byte on or a changed byte in the last batch', async () => {
    const { directory, pack, bytes } = await four()
    const end = bytes.indexOf('the second') + 'the second'.length
    const seen = new Set<string>()
    for (let at = end; at < bytes.length; at++) {
      const zeros = Buffer.from(bytes).fill(0, at)
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
      for (const changed of [zeros, flipped]) {
        writeFileSync(pack, changed)
        const keys = await wholeKeys(directory)
        expect(keys.slice(0, 2)).toEqual(['a/1', 'a/2'])
        seen.add(keys.join())
      }
    }
    expect([...seen].toSorted()).toEqual(['a/1,a/2', 'a/1,a/2,a/3'])
  })

  test('reports a synced blob that is damaged, and still has all others', async () => {
    const { directory, pack, bytes } = await four()
    const at = bytes.indexOf('the first')
    writeFileSync(pack, Buffer.from(bytes).fill('x', at, at + 1))
    const store = packed(directory)
    expect(await keysIn(store)).toEqual([...TEXTS.keys()])
    await expectCode('corrupt', () => store.read('a/1'))
    expect(Buffer.from(await get(store, 'a/3')).toString()).toBe('the third')
  })

  test('reports a message with a damaged record as corrupt', async () => {
    const directory = freshDirectory()
    const mail = mailStore(fs(directory, { layout: 'packed' }))
    const ids = [0, 1].map((index) => idAt(NOW, index)) as [string, string]
    for (const id of ids) await saveText(mail, id)
    const pack = join(directory, packsIn(directory)[0] as string)
    const bytes = readFileSync(pack)
    const at = bytes.indexOf('"reversePath"')
    writeFileSync(pack, Buffer.from(bytes).fill('x', at, at + 1))
    const page = await mailStore(fs(directory)).list()
    expect(page.corrupt).toEqual([ids[0]])
    expect(idsOf(page)).toEqual([ids[1]])
  })

  test('ignores entries of another pack, and bytes behind its end', async () => {
    const { directory, pack, bytes } = await four()
    const other = freshDirectory()
    await put(packed(other), 'a/5', 'stale')
    const stale = readFileSync(join(other, packsIn(other)[0] as string)).subarray('postern pack 1\n'.length)
    for (const tail of [stale, bytes.subarray(15), Buffer.alloc(5000), Buffer.alloc(5000, 0xff), pattern(5000)]) {
      writeFileSync(pack, Buffer.concat([bytes, tail]))
      expect(await wholeKeys(directory)).toEqual([...TEXTS.keys()])
    }
    writeFileSync(join(directory, 'a/.pack-x-1'), 'not a pack at all')
    writeFileSync(join(directory, 'a/.pack-y-1'), '')
    expect(await wholeKeys(directory)).toEqual([...TEXTS.keys()])
  })

  test('is read on from the same place, also if the reader saw half of an entry', async () => {
    const { directory, pack, bytes } = await four()
    const middle = bytes.length - 5
    truncateSync(pack, middle)
    const reader = packed(directory)
    expect(await keysIn(reader)).toEqual(['a/1', 'a/2', 'a/3'])
    appendFileSync(pack, bytes.subarray(middle))
    expect(await keysIn(reader)).toEqual(['a/1', 'a/2', 'a/3', 'a/4'])
    expect(Buffer.from(await get(reader, 'a/4')).toString()).toBe('the fourth')
    // The unanswered entry was taken back.
    truncateSync(pack, middle)
    expect(await keysIn(reader)).toEqual(['a/1', 'a/2', 'a/3'])
  })
})

describe('several stores on one directory', () => {
  test('see at once what the others write and delete', SLOW, async () => {
    const directory = freshDirectory()
    const stores = [packed(directory), packed(directory), packed(directory)]
    const keys = Array.from({ length: 300 }, (_, index) => `a/${String(index).padStart(3, '0')}`)
    await inParallel(keys, (key) => put(stores[Number(key.slice(-1)) % 3] as BlobStore, key))
    for (const store of stores) expect(await keysIn(store)).toEqual(keys)
    await inParallel(keys.slice(0, 290), async (key) => {
      const [one, other] = [Number(key.slice(-2)) % 3, Number(key.slice(-1)) % 3]
      await (stores[one] as BlobStore).delete(key)
      await expectCode('not-found', () => (stores[other] as BlobStore).read(key))
    })
    for (const store of [...stores, packed(directory)]) expect(await keysIn(store)).toEqual(keys.slice(290))
  })

  test('can use a key again that another store deleted', async () => {
    const directory = freshDirectory()
    const [one, other] = [packed(directory), packed(directory)] as const
    for (let round = 0; round < 4; round++) {
      await put(round % 2 === 0 ? one : other, 'a/b', `${round}`)
      await expectCode('exists', () => put(one, 'a/b'))
      for (const store of [one, other]) expect(Buffer.from(await get(store, 'a/b')).toString()).toBe(`${round}`)
      await (round < 2 ? other : one).delete('a/b')
      for (const store of [one, other]) expect(await store.head('a/b')).toBeUndefined()
    }
  })

  test('keep only one blob of a key, if one writes it into a pack and one as a file', async () => {
    const directory = freshDirectory()
    const store = fs(directory, { layout: 'packed' })
    await put(unique(store), 'a/small', 'in a pack')
    await expectCode('exists', () => put(store, 'a/small', 'as a file'))
    await expectCode('exists', () => put(unique(store), 'a/small', pattern(100_000)))
    for (const size of [10, 100_000]) {
      await put(store, `a/${size}`, pattern(size))
      for (const each of [unique(store), packed(directory)]) await expectCode('exists', () => put(each, `a/${size}`))
    }
    expect(await keysIn(store)).toEqual(['a/10', 'a/100000', 'a/small'])
    expect(readdirSync(join(directory, '.tmp'))).toEqual([])
  })
})

test('a page has the sizes of all its keys, also if they lie in more folders than the cache holds', SLOW, async () => {
  const directory = freshDirectory()
  const store = packed(directory)
  const keys = Array.from({ length: 300 }, (_, index) => `d/${1000 + index}/a`)
  await inParallel(keys, (key) => put(store, key, 'four'), 50)
  for (const each of [store, packed(directory)]) {
    const page = await each.list({ sizes: true })
    expect(page.keys).toEqual(keys)
    expect(new Set(page.sizes)).toEqual(new Set([4]))
  }
})

describe('packs in which nothing is left', () => {
  test('are removed at once with their deletion entries, if they have not been written for a while', async () => {
    const directory = freshDirectory()
    const ids = Array.from({ length: 5 }, (_, index) => idAt(NOW, index))
    for (const id of ids) await saveText(mailStore(packed(directory)), id)
    age(directory)
    const mail = mailStore(packed(directory))
    for (const id of ids.slice(1)) await mail.delete(id)
    expect(packsIn(directory)).toHaveLength(6)
    expect(idsOf(await mail.list())).toEqual(ids.slice(0, 1))
    await mail.delete(ids[0] as string)
    expect(packsIn(directory)).toEqual([])
    await mail.sweep({ olderThanMs: 0 })
    expect(existsSync(join(directory, '2026'))).toBe(false)
  })

  test('stay if a header is damaged and many bytes follow it', async () => {
    const directory = freshDirectory()
    const store = packed(directory)
    await put(store, `${MINUTE}/first`, 'one')
    for (let index = 0; index < 90; index++) await put(store, `${MINUTE}/${index}`, 'x'.repeat(60_000))
    const [name] = packsIn(directory) as [string]
    const bytes = readFileSync(join(directory, name))
    const second = bytes.indexOf('x'.repeat(100))
    bytes[second - 3] = (bytes[second - 3] as number) ^ 1
    writeFileSync(join(directory, name), bytes)
    age(directory)
    const other = packed(directory)
    expect(await keysIn(other)).toEqual([`${MINUTE}/first`])
    await other.delete(`${MINUTE}/first`)
    await other.sweep?.(0)
    expect(packsIn(directory)).toContain(name)
  })

  test('stay while they are young, until a sweep', async () => {
    const directory = freshDirectory()
    const [one, other] = [packed(directory), packed(directory)].map(mailStore) as [MailStore, MailStore]
    const id = idAt(NOW, 0)
    await saveText(one, id)
    await other.delete(id)
    expect(packsIn(directory)).toHaveLength(2)
    await other.sweep({ olderThanMs: 60_000 })
    expect(packsIn(directory)).toHaveLength(2)
    await other.sweep({ olderThanMs: 0 })
    expect(packsIn(directory)).toEqual([])
    // The store that had the pack open begins another.
    await saveText(one, idAt(NOW, 1))
    expect(idsOf(await mailStore(packed(directory)).list())).toEqual([idAt(NOW, 1)])
  })

  test('that were too young when they became empty are removed by a later delete', async () => {
    const directory = freshDirectory()
    const store = packed(directory)
    const [key, later] = [`${MINUTE}/1`, '2026/11/21/0543/2']
    await put(store, key)
    await store.delete(key)
    await put(store, later)
    expect(packsIn(directory)).toHaveLength(2)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 })
    try {
      await store.delete(later)
    } finally {
      vi.useRealTimers()
    }
    expect(packsIn(directory)).toEqual([])
  })

  test('many deletes, each by its own process, leave one pack of deletion entries', async () => {
    const directory = freshDirectory()
    const ids = Array.from({ length: 10 }, (_, index) => idAt(NOW, index))
    const mail = mailStore(packed(directory))
    for (const id of ids) await saveText(mail, id)
    for (const id of ids.slice(1)) await mailStore(packed(directory)).delete(id)
    expect(packsIn(directory)).toHaveLength(10)
    for (let round = 0; round < 2; round++) {
      await mailStore(packed(directory)).sweep({ olderThanMs: 0 })
      expect(packsIn(directory)).toHaveLength(2)
    }
    expect(idsOf(await mailStore(packed(directory)).list())).toEqual([ids[0]])
  })

  test('many deletes, each by its own process, remove their packs without a sweep', async () => {
    const directory = freshDirectory()
    const store = packed(directory)
    const keys = Array.from({ length: 40 }, (_, index) => `${MINUTE}/${1000 + index}`)
    await inParallel(keys, (key) => put(store, key))
    for (const key of keys.slice(2)) await packed(directory).delete(key)
    expect(packsIn(directory)).toHaveLength(39)
    age(directory)
    await packed(directory).delete(keys[1] as string)
    expect(packsIn(directory).length).toBeLessThan(5)
    expect(await keysIn(packed(directory))).toEqual(keys.slice(0, 1))
  })

  test('a delete is not undone if it reaches a pack while its deletion entries are copied', async () => {
    const directory = freshDirectory()
    const [writer, digger] = [packed(directory), packed(directory)] as const
    const keys = [1, 2, 3, 4].map((number) => `${MINUTE}/${number}`) as [string, string, string, string]
    for (const key of keys) await put(writer, key)
    await digger.delete(keys[0])
    await packed(directory).delete(keys[1])
    let isCopying = true
    const disk = watchedDisk(async (call) => {
      if (call !== 'write' || !isCopying) return
      isCopying = false
      await digger.delete(keys[2])
      expect(await sweeper.head(keys[2])).toBeUndefined()
    })
    const sweeper = unique(fsOn(disk, directory))
    age(directory)
    await sweeper.sweep?.(60_000)
    expect(isCopying).toBe(false)
    expect(await keysIn(packed(directory))).toEqual(keys.slice(3))
  })

  test('a later sweep finishes one that was killed while its pack had two names', async () => {
    const directory = freshDirectory()
    const id = idAt(NOW, 0)
    await saveText(mailStore(packed(directory)), id)
    await saveText(mailStore(packed(directory)), idAt(NOW, 1))
    const [first] = packsIn(directory) as [string]
    linkSync(join(directory, first), join(directory, `${first}.end`))
    for (const killed of [false, true]) {
      if (killed) unlinkSync(join(directory, first))
      const pages = await allPages(mailStore(packed(directory)), 10)
      expect(pages.flatMap(idsOf)).toEqual([idAt(NOW, 1), id])
    }
    const mail = mailStore(packed(directory))
    for (const each of [id, idAt(NOW, 1)]) await mail.delete(each)
    await mail.sweep({ olderThanMs: 0 })
    expect(packsIn(directory)).toEqual([])
  })
})

describe('the directory', () => {
  test('says that it holds packs, and is opened with that layout by default', async () => {
    const directory = freshDirectory()
    await saveText(mailStore(fs(directory, { layout: 'packed' })), idAt(NOW, 0))
    expect(readFileSync(join(directory, '.postern'), 'utf8')).toBe('packed 1\n')
    expect(packsIn(directory)).toHaveLength(1)
    expect(statSync(join(directory, packsIn(directory)[0] as string)).mode & 0o777).toBe(0o600)
    for (const writable of [true, false]) {
      expect(idsOf(await mailStore(fs(directory, { writable })).list())).toEqual([idAt(NOW, 0)])
    }
    await saveText(mailStore(fs(directory)), idAt(NOW, 1))
    expect(readdirSync(join(directory, MINUTE)).filter((name) => !name.startsWith('.'))).toEqual([])
    expect(() => fs(directory, { layout: 'files' })).toThrow(
      `${directory} holds mail in the layout packed 1, not fs 1; open it without naming a layout, or name another directory`,
    )
  })

  test('of files is not opened as packs', () => {
    const directory = freshDirectory()
    fs(directory)
    expect(() => fs(directory, { layout: 'packed' })).toThrow(
      expect.objectContaining({
        code: 'other-layout',
        message: expect.stringContaining('fs 1, not packed 1') as string,
      }) as Error,
    )
    expect(() => fs(freshDirectory(), { layout: 'heaps' as 'files' })).toThrow(RangeError)
  })
})
