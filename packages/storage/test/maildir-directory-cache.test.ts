/** How often a directory of a mailbox is read, and that the cached names are never wrong. */
import type { Dirent, Stats } from 'node:fs'
import { basename, dirname } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Disk, nodeDisk } from '../src/disk/disk.ts'
import { DirectoryCache } from '../src/maildir/directory-cache.ts'
import { systemError } from './disks.ts'
import { idAt } from '../../../test/contracts/mail/messages.ts'

const LONG_AGO = Date.now() - 60_000
const CUR = '/mail/example.com/ann/cur'

/** Directories of files, with times that the test sets. */
class FakeDirectories {
  readonly names = new Map<string, Set<string>>()
  readonly changedAtMs = new Map<string, number>()
  reads = 0
  readonly disk: Disk = {
    ...nodeDisk,
    lstat: async (path) => {
      const isThere = this.names.has(path) || this.names.get(dirname(path))?.has(basename(path)) === true
      if (!isThere) throw systemError('ENOENT', 'lstat')
      return { ctimeMs: this.changedAtMs.get(path) ?? LONG_AGO } as Stats
    },
    readdir: async (path) => {
      this.reads++
      await new Promise((resolve) => setImmediate(resolve))
      const names = this.names.get(path)
      if (names === undefined) throw systemError('ENOENT', 'readdir')
      return [...names].map((name) => ({ name, isFile: () => true }) as Dirent)
    },
  }

  put(directory: string, name: string): void {
    const names = this.names.get(directory) ?? new Set()
    this.names.set(directory, names.add(name))
  }

  rename(directory: string, from: string, to: string): void {
    this.names.get(directory)?.delete(from)
    this.put(directory, to)
  }
}

const UNIQUES = Array.from({ length: 100 }, (_, index) => `1795239720.${idAt(LONG_AGO, index)}.mx1`)
const [ONE = '', OTHER = '', GONE = ''] = UNIQUES

test('a directory that does not change is read once, whatever names are looked up', async () => {
  const fake = new FakeDirectories()
  for (const unique of UNIQUES.slice(0, 50)) fake.put(CUR, `${unique},S=7:2,Sa`)
  const cache = new DirectoryCache(fake.disk)
  const find = (unique: string): Promise<string | undefined> => cache.find(CUR, unique)
  const found = await Promise.all(UNIQUES.map(find))
  expect(found).toEqual(UNIQUES.map((unique, index) => (index < 50 ? `${unique},S=7:2,Sa` : undefined)))
  expect(await Promise.all(UNIQUES.map(find))).toEqual(found)
  expect(fake.reads).toBe(1)
  expect(await cache.find('/mail/example.com/nobody/cur', ONE)).toBeUndefined()
  expect(fake.reads).toBe(1)
})

test('a renamed file is found under its new name, and a new file is found', async () => {
  const fake = new FakeDirectories()
  fake.put(CUR, `${ONE}:2,S`)
  const cache = new DirectoryCache(fake.disk)
  expect(await cache.find(CUR, ONE)).toBe(`${ONE}:2,S`)
  fake.rename(CUR, `${ONE}:2,S`, `${ONE}:2,RSa`)
  fake.put(CUR, OTHER)
  fake.changedAtMs.set(CUR, LONG_AGO + 1)
  expect(await cache.find(CUR, ONE)).toBe(`${ONE}:2,RSa`)
  expect(await cache.find(CUR, OTHER)).toBe(OTHER)
  expect(await cache.find(CUR, GONE)).toBeUndefined()
  expect(fake.reads).toBe(2)
})

test('while a directory changes, the cache reads it again before it reports a missing name, even if its time does not change', async () => {
  const fake = new FakeDirectories()
  fake.put(CUR, ONE)
  fake.changedAtMs.set(CUR, Date.now() + 1_000)
  const cache = new DirectoryCache(fake.disk)
  expect(await cache.find(CUR, OTHER)).toBeUndefined()
  fake.put(CUR, OTHER)
  expect(await cache.find(CUR, OTHER)).toBe(OTHER)
  // Concurrent lookups share one reading of the directory if it began after each of them.
  fake.reads = 0
  expect(await Promise.all(UNIQUES.map((unique) => cache.find(CUR, unique)))).toHaveLength(100)
  expect(fake.reads).toBeLessThanOrEqual(2)
})

test('the cache holds no more names than its limit, and every existing file is found', async () => {
  const fake = new FakeDirectories()
  const directories = ['a', 'b', 'c'].map((name) => `/mail/example.com/${name}/cur`)
  for (const directory of directories) for (const unique of UNIQUES.slice(0, 40)) fake.put(directory, unique)
  const cache = new DirectoryCache(fake.disk, 100)
  const readsOf = async (directory: string): Promise<number> => {
    fake.reads = 0
    expect(await cache.find(directory, ONE)).toBe(ONE)
    expect(await cache.find(directory, UNIQUES[50] as string)).toBeUndefined()
    return fake.reads
  }
  const reads: number[] = []
  for (const index of [0, 1, 0, 1, 2, 2, 1, 0]) reads.push(await readsOf(directories[index] as string))
  // The third directory displaces the first from the cache.
  expect(reads).toEqual([1, 1, 0, 0, 1, 0, 0, 1])
  const small = new DirectoryCache(fake.disk, 39)
  fake.reads = 0
  for (let time = 0; time < 3; time++) expect(await small.find(directories[0] as string, ONE)).toBe(ONE)
  expect(fake.reads).toBe(3)
})

test('an existing name is found, whatever happens to the directory in between', async () => {
  const step = fc.record({ file: fc.nat(4), flags: fc.constantFrom('', ':2,', ':2,S', ':2,Sa'), later: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const fake = new FakeDirectories()
      fake.names.set(CUR, new Set())
      const cache = new DirectoryCache(fake.disk)
      const there = new Map<string, string>()
      let changedAtMs = Date.now()
      for (const { file, flags, later } of steps) {
        const unique = UNIQUES[file] as string
        const old = there.get(unique)
        if (old === undefined) fake.put(CUR, unique + flags)
        else fake.rename(CUR, old, unique + flags)
        there.set(unique, unique + flags)
        if (later) changedAtMs++
        fake.changedAtMs.set(CUR, changedAtMs)
        for (const each of UNIQUES.slice(0, 5)) expect(await cache.find(CUR, each)).toBe(there.get(each))
      }
    }),
  )
})
