import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type BlobStore, mailStore, type StorageErrorCode } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { describe, expect, test } from 'vitest'
import type { Disk } from '../src/disk/disk.ts'
import { fsOn } from '../src/fs/index.ts'
import { expectCode, inParallel, pattern, SLOW } from './blob-contract.ts'
import { get, keysIn, put } from './blobs.ts'
import { isThorough } from '../../../test/kit/sample.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { countingDisk, systemError, watchedDisk } from './disks.ts'
import { ABORTED, idAt, messageOf, saveText, SESSION } from '../../../test/contracts/mail/messages.ts'

const parent = temporaryDirectory()

function freshDirectory(): string {
  return mkdtempSync(join(parent, 'store-'))
}

function leftovers(directory: string): string[] {
  return readdirSync(join(directory, '.tmp'))
}

describe('group commit', () => {
  test('a hundred concurrent saves share their directory fsyncs', SLOW, async () => {
    const { disk, counts } = countingDisk()
    const directory = freshDirectory()
    const mail = mailStore(fsOn(disk, directory))
    const now = Date.parse('2026-11-21T05:42:00Z')
    const count = 500
    const ids = Array.from({ length: count }, (_, index) => idAt(now, index))
    await inParallel(ids, (id) => saveText(mail, id), 100)
    const fsyncs = counts.get('fsync') as number
    // Each message needs two fsyncs of files, for its bytes and its envelope. If saved one by one, it also needs two of directories.
    const ofDirectories = (fsyncs - 2 * count) / count
    console.log(
      `fsyncs a message, 100 saves at once: 2 of files, ${ofDirectories.toFixed(3)} of directories (one by one: 2, 2)`,
    )
    expect(fsyncs).toBeGreaterThanOrEqual(2 * count)
    expect(fsyncs - 2 * count).toBeLessThan((2 * count) / 10)
    for (const id of ids) await (await mail.load(id)).verify()
  })

  test('a commit waits for an fsync of its directory that began after its link', async () => {
    const log: string[] = []
    const disk = watchedDisk(async (call, args) => {
      // Each call takes a different time.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
      if (call === 'link') log.push(`link ${String(args[1])}`)
      if (call === 'open' && String(args[0]).endsWith('/d')) log.push('sync')
    })
    const directory = freshDirectory()
    const store = fsOn(disk, directory)
    const keys = Array.from({ length: 60 }, (_, index) => `d/${index}`)
    await inParallel(
      keys,
      async (key) => {
        await put(store, key)
        log.push(`done ${join(directory, key)}`)
      },
      20,
    )
    let syncs = 0
    for (const key of keys) {
      const linked = log.indexOf(`link ${join(directory, key)}`)
      const done = log.indexOf(`done ${join(directory, key)}`)
      expect(log.slice(linked, done)).toContain('sync')
    }
    for (const line of log) if (line === 'sync') syncs++
    expect(syncs).toBeLessThan(40)
  })

  test('directories are synced from the top before a file in them is committed', async () => {
    const synced: string[] = []
    const disk = watchedDisk((call, args) => {
      if (call === 'open' && lstatSync(String(args[0]), { throwIfNoEntry: false })?.isDirectory())
        synced.push(String(args[0]))
    })
    const directory = freshDirectory()
    await put(fsOn(disk, directory), 'a/b/c')
    expect(synced).toEqual([directory, join(directory, 'a'), join(directory, 'a/b')])
    // Another process made the directories, and may not have synced them yet.
    synced.length = 0
    const other = fsOn(disk, directory)
    await put(other, 'a/b/d')
    expect(synced).toEqual([directory, join(directory, 'a'), join(directory, 'a/b')])
    synced.length = 0
    await put(other, 'a/b/e')
    expect(synced).toEqual([join(directory, 'a/b')])
  })

  test('one small blob needs only a few calls to the disk', async () => {
    const { disk, counts } = countingDisk()
    const store = fsOn(disk, freshDirectory())
    await put(store, 'a/first')
    counts.clear()
    const writer = store.write('a/second')
    for (let i = 0; i < 100; i++) await writer.write(pattern(100))
    await writer.commit()
    // `open`, `fsync` and `close` are called for the file and for its directory. The store also checks the directory.
    expect(Object.fromEntries(counts)).toEqual({ open: 2, write: 1, fsync: 2, fstat: 1, close: 2, link: 1, unlink: 1 })
  })
})

describe('errors of the disk', () => {
  const rows: [keyof Disk, string, StorageErrorCode][] = [
    ['open', 'ENOSPC', 'no-space'],
    ['open', 'EDQUOT', 'no-space'],
    ['open', 'EACCES', 'denied'],
    ['open', 'EMFILE', 'unavailable'],
    ['write', 'ENOSPC', 'no-space'],
    ['write', 'EDQUOT', 'no-space'],
    ['write', 'EIO', 'unavailable'],
    ['fsync', 'EIO', 'unavailable'],
    ['fsync', 'ENOSPC', 'no-space'],
    ['close', 'EIO', 'unavailable'],
    ['mkdir', 'EROFS', 'denied'],
    ['mkdir', 'ENOSPC', 'no-space'],
    ['link', 'EPERM', 'denied'],
    ['link', 'ENOENT', 'unavailable'],
    ['link', 'EEXIST', 'exists'],
  ]
  test.each(rows)('%s that fails with %s is reported as `%s`, and leaves no file', async (call, system, code) => {
    for (const size of [10, 200_000]) {
      let failing = true
      const disk = watchedDisk((name) => {
        if (failing && name === call) throw systemError(system, call)
      })
      const directory = freshDirectory()
      const store = fsOn(disk, directory)
      await expect(put(store, 'a/b', pattern(size))).rejects.toMatchObject({ code, cause: { code: system } })
      failing = false
      expect(await keysIn(store)).toEqual([])
      expect(leftovers(directory)).toEqual([])
      await put(store, 'a/b', pattern(size))
      expect(await get(store, 'a/b')).toHaveLength(size)
    }
  })

  test('a failed fsync of a file or of a directory is not tried again', async () => {
    for (const fatal of [1, 2, 3]) {
      let fsyncs = 0
      const disk = watchedDisk((call) => {
        if (call === 'fsync' && ++fsyncs === fatal) throw systemError('EIO', 'fsync')
      })
      const directory = freshDirectory()
      const store = fsOn(disk, directory)
      await expectCode('unavailable', () => put(store, 'a/b'))
      expect(fsyncs).toBe(fatal)
      expect(await keysIn(store)).toEqual([])
      expect(leftovers(directory)).toEqual([])
    }
  })

  test('a short write is continued, and a write of 0 bytes causes no endless loop', async () => {
    const directory = freshDirectory()
    const short: Disk = {
      ...watchedDisk(() => undefined),
      write: (file, bytes, offset, length) =>
        watchedDisk(() => undefined).write(file, bytes, offset, Math.min(length, 1000)),
    }
    const store = fsOn(short, directory)
    await put(store, 'a', pattern(150_000))
    expect(Buffer.compare(await get(store, 'a'), pattern(150_000))).toBe(0)
    const stuck = fsOn({ ...short, write: () => Promise.resolve(0) }, directory)
    await expectCode('unavailable', () => put(stuck, 'b', pattern(10)))
  })

  test('a message that is cut off leaves no temporary file', async () => {
    const directory = freshDirectory()
    const mail = mailStore(fs(directory))
    const chunks = [pattern(100_000), pattern(100_000), ABORTED]
    await expect(mail.save(messageOf(idAt(Date.now()), chunks), SESSION)).rejects.toBe(ABORTED)
    expect(leftovers(directory)).toEqual([])
    expect(readdirSync(directory).toSorted()).toEqual(['.postern', '.tmp'])
  })
})

describe('the directory', () => {
  test('files are 0600 and directories 0700', async () => {
    const directory = join(freshDirectory(), 'new/deep')
    const store = fs(directory)
    await put(store, 'a/b')
    await put(store, 'a/large', pattern(100_000))
    for (const path of ['', '.tmp', 'a']) expect(lstatSync(join(directory, path)).mode & 0o777).toBe(0o700)
    for (const path of ['a/b', 'a/large']) expect(lstatSync(join(directory, path)).mode & 0o777).toBe(0o600)
    for (const path of ['a/b', 'a/large']) expect(lstatSync(join(directory, path)).nlink).toBe(1)
  })

  test('a path that is not a directory is rejected at once, with the reason', () => {
    const file = join(freshDirectory(), 'file')
    writeFileSync(file, '')
    for (const path of [file, join(file, 'below')]) {
      expect(() => fs(path)).toThrow(`can't keep mail in ${path}: it, or a part of its path, is not a directory`)
    }
    const linked = freshDirectory()
    symlinkSync(freshDirectory(), join(linked, '.tmp'))
    expect(() => fs(linked)).toThrow(expect.objectContaining({ code: 'denied' }) as Error)
    for (const maxOpenFiles of [0, -1, 1.5, Number.NaN]) {
      expect(() => fs(freshDirectory(), { maxOpenFiles })).toThrow(RangeError)
    }
  })

  test('a directory that cannot be written is rejected at once', ({ skip }) => {
    skip(!existsSync('/proc/self'), 'no directory here that not even root can write to')
    expect(() => fs('/proc/self/mail')).toThrow("can't keep mail in /proc/self/mail: ")
  })

  test('the store itself may be behind a symbolic link', async () => {
    const real = freshDirectory()
    const link = join(freshDirectory(), 'link')
    symlinkSync(real, link)
    await put(fs(link), 'a/b', 'x')
    expect(readFileSync(join(real, 'a/b'), 'utf8')).toBe('x')
    expect(await keysIn(fs(link))).toEqual(['a/b'])
  })

  test('symbolic links inside the directory are not followed', async () => {
    const outside = freshDirectory()
    writeFileSync(join(outside, 'secret'), 'secret')
    const directory = freshDirectory()
    const store = fs(directory)
    await put(store, 'real/b')
    symlinkSync(outside, join(directory, 'out'))
    symlinkSync(join(outside, 'secret'), join(directory, 'real/link'))
    symlinkSync(join(directory, 'real'), join(directory, 'inner'))
    for (const key of ['out/secret', 'real/link', 'inner/b']) {
      await expectCode('denied', () => store.read(key))
      await expectCode('denied', () => store.head(key))
    }
    for (const key of ['out/new', 'out/deep/new', 'inner/new']) await expectCode('denied', () => put(store, key))
    await expectCode('exists', () => put(store, 'real/link'))
    await expectCode('denied', () => store.delete('out/secret'))
    await expectCode('denied', () => store.list({ prefix: 'out/' }))
    expect(await keysIn(store)).toEqual(['real/b'])
    expect((await store.list({ delimiter: '/' })).prefixes).toEqual(['real/'])
    await mailStore(store).sweep({ olderThanMs: 0 })
    expect(readdirSync(outside)).toEqual(['secret'])
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret')
    expect(leftovers(directory)).toEqual([])
  })

  test('foreign files in the directory are skipped', async () => {
    const directory = freshDirectory()
    const store = fs(directory)
    await put(store, 'a/b')
    mkdirSync(join(directory, 'a/.git'))
    for (const name of ['a/.DS_Store', 'a/with space', 'a/ünïcode', 'a/.git/x'])
      writeFileSync(join(directory, name), '')
    expect(await keysIn(store)).toEqual(['a/b'])
  })

  test('a temporary directory that another program removed is made again', async () => {
    const directory = freshDirectory()
    const store = fs(directory)
    renameSync(join(directory, '.tmp'), join(directory, 'moved'))
    await put(store, 'a/b', 'x')
    expect(lstatSync(join(directory, '.tmp')).mode & 0o777).toBe(0o700)
    expect(await keysIn(store)).toContain('a/b')
  })
})

describe('sweep', () => {
  test('a sweep removes old temporary files, and keeps young ones and those that this store is writing', async () => {
    const directory = freshDirectory()
    const store = fs(directory)
    const writer = store.write('live')
    await writer.write(pattern(100_000))
    const [live] = leftovers(directory)
    writeFileSync(join(directory, '.tmp/old'), '')
    writeFileSync(join(directory, '.tmp/young'), '')
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 60 * 60
    for (const name of ['old', live as string]) utimesSync(join(directory, '.tmp', name), twoDaysAgo, twoDaysAgo)
    expect(await mailStore(store).sweep()).toEqual({ messages: 0, temporary: 1 })
    expect(leftovers(directory).toSorted()).toEqual([live as string, 'young'].toSorted())
    await writer.write(pattern(1))
    await writer.commit()
    expect((await get(store, 'live')).length).toBe(100_001)
  })

  test('a sweep removes empty folders of the store and leaves foreign files, and the folders are made again when needed', async () => {
    const directory = freshDirectory()
    const store = fs(directory)
    const emptied = ['2026/11/21/0542/gone', 'bounced/2025/01/02/0304/gone']
    for (const key of [...emptied, '2026/10/kept']) await put(store, key)
    for (const key of emptied) await store.delete(key)
    // Folders of the file system or of other programs, for example in a home directory that an operator named by mistake.
    const others = ['lost+found', '.hidden', 'with space', 'empty', '2026-11', '2026/11x', 'bounced/x', '2024a/11/21']
    for (const name of others) mkdirSync(join(directory, name), { recursive: true })
    const all = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((path) => !path.startsWith('.tmp'))
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 60 * 60
    for (const path of all) utimesSync(join(directory, path), twoDaysAgo, twoDaysAgo)
    // Each sweep removes the folders that were empty before it began.
    for (let sweeps = 0; sweeps < 5; sweeps++) {
      await mailStore(store).sweep()
      for (const path of all)
        if (existsSync(join(directory, path))) utimesSync(join(directory, path), twoDaysAgo, twoDaysAgo)
    }
    expect(all.filter((path) => !existsSync(join(directory, path))).toSorted()).toEqual(
      ['2026/11', '2026/11/21', '2026/11/21/0542'].concat([
        'bounced/2025',
        'bounced/2025/01',
        'bounced/2025/01/02',
        'bounced/2025/01/02/0304',
      ]),
    )
    // The store has used the directory before.
    await put(store, '2026/11/21/0542/again', 'x')
    expect(await keysIn(store)).toEqual(['2026/10/kept', '2026/11/21/0542/again'])
  })

  test('a sweep during writes never loses a blob', SLOW, async () => {
    const directory = freshDirectory()
    const { disk, counts } = countingDisk()
    const [one, other] = [fs(directory), fsOn(disk, directory)]
    const stop = new AbortController()
    const sweeping = (async () => {
      while (!stop.signal.aborted) await other.sweep?.(30)
    })()
    try {
      for (let i = 0; i < (isThorough ? 120 : 40); i++) {
        const key = `20${10 + (i % 20)}/01/${i}`
        await retried(() => put(one, key))
        expect(await get(one, key)).toHaveLength(key.length)
        await one.delete(key)
      }
    } finally {
      stop.abort()
      await sweeping
    }
    expect(counts.get('rmdir')).toBeGreaterThan(10)
  })
})

describe('open files', () => {
  test('large writers wait for each other, and small blobs do not wait for large writers', SLOW, async () => {
    let open = 0
    let most = 0
    const disk = watchedDisk((call) => {
      if (call === 'open') most = Math.max(most, ++open)
      if (call === 'close') open--
    })
    const store = fsOn(disk, freshDirectory(), { maxOpenFiles: 3 })
    const writers = [1, 2, 3].map((each) => store.write(`held/${each}`))
    for (const writer of writers) await writer.write(pattern(100_000))
    const waiting = store.write('waits')
    let began = false
    const begun = Promise.resolve(waiting.write(pattern(100_000))).then(() => {
      began = true
    })
    await put(store, 'small')
    expect(await get(store, 'small')).toHaveLength(5)
    expect(began).toBe(false)
    await writers[0]?.abort()
    await begun
    await waiting.commit()
    for (const writer of writers) await writer.abort()
    expect(open).toBe(0)
    open = most = 0
    await inParallel(
      Array.from({ length: 300 }, (_, index) => `many/${index}`),
      async (key) => {
        await put(store, key, pattern(100_000))
        expect(await get(store, key)).toHaveLength(100_000)
      },
      300,
    )
    expect(open).toBe(0)
    // The limit allows three writers, three readers and 64 short operations.
    expect(most).toBeLessThanOrEqual(70)
    expect(await keysIn(store)).toHaveLength(302)
  })

  test('hundreds of blobs leave no file open', SLOW, async ({ skip }) => {
    skip(!existsSync('/proc/self/fd'), 'open files can be counted in /proc only')
    const store = fs(freshDirectory())
    const before = readdirSync('/proc/self/fd').length
    await inParallel(
      Array.from({ length: 500 }, (_, index) => index),
      async (index) => {
        const size = index % 2 === 0 ? 100 : 100_000
        await put(store, `a/${index}`, pattern(size))
        const unread = await store.read(`a/${index}`)
        expect(unread.size).toBe(size)
        const writer = store.write(`b/${index}`)
        await writer.write(pattern(size))
        await writer.abort()
      },
    )
    expect(readdirSync('/proc/self/fd').length).toBeLessThan(before + 20)
  })
})

test('two stores on one directory lose nothing, and only one of two blobs of one key is kept', async () => {
  const directory = freshDirectory()
  const stores: BlobStore[] = [fs(directory), fs(directory)]
  const results = await Promise.all(
    stores.flatMap((store, which) =>
      Array.from({ length: 200 }, (_, index) =>
        put(store, `a/${index}`, `${which}`).then(
          () => ({ index, which }),
          () => undefined,
        ),
      ),
    ),
  )
  const winners = results.filter((result) => result !== undefined)
  expect(winners).toHaveLength(200)
  for (const { index, which } of winners) {
    expect(readFileSync(join(directory, `a/${index}`), 'utf8')).toBe(`${which}`)
  }
  expect(leftovers(directory)).toEqual([])
})

/** On a slow disk a sweep may remove a directory before it is used. If that happens to a writer twice in a row, it gets `unavailable` and may try again. */
async function retried(work: () => Promise<void>): Promise<void> {
  for (let left = 10; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (left === 0) throw error
      expect(error).toMatchObject({ code: 'unavailable' })
    }
  }
}
