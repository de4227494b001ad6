/** What a store creates, marks and refuses when it opens a directory, and what it does not touch. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { describe, expect, test } from 'vitest'
import { openDirectory } from '../src/disk/opening.ts'
import { expectCode } from './blob-contract.ts'
import { get, keysIn, put } from './blobs.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { idAt, saveText } from '../../../test/contracts/mail/messages.ts'

const parent = temporaryDirectory()
const MAILDIR = { name: 'maildir', version: 1 }

function freshDirectory(): string {
  return mkdtempSync(join(parent, 'store-'))
}

/** Returns every path below, with its mode, size and times. */
function snapshot(directory: string): unknown[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .toSorted()
    .map((path) => {
      const { mode, size, mtimeMs, ctimeMs } = lstatSync(join(directory, path))
      return { path, mode, size, mtimeMs, ctimeMs }
    })
}

describe('the marker', () => {
  test('is written when a directory is first opened, and never again', () => {
    const directory = join(freshDirectory(), 'mail')
    fs(directory)
    expect(readFileSync(join(directory, '.postern'), 'utf8')).toBe('fs 1\n')
    expect(lstatSync(join(directory, '.postern')).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(directory, '.tmp'))).toEqual([])
    const { ino } = lstatSync(join(directory, '.postern'))
    fs(directory)
    expect(lstatSync(join(directory, '.postern')).ino).toBe(ino)
  })

  test('is added to an older store that has none, and its mail stays', async () => {
    const directory = freshDirectory()
    const id = idAt(Date.now())
    await saveText(mailStore(fs(directory)), id)
    rmSync(join(directory, '.postern'))
    expect(() => openDirectory(directory, [MAILDIR])).toThrow(
      `${directory} holds mail in the layout fs 1, not maildir 1`,
    )
    const mail = mailStore(fs(directory))
    await (await mail.load(id)).verify()
    expect(readFileSync(join(directory, '.postern'), 'utf8')).toBe('fs 1\n')
  })

  test.each([
    ['maildir 1\n', 'holds mail in the layout maildir 1, not fs 1; open it as maildir: or name another directory'],
    ['fs 2\n', 'holds mail in the layout fs 2, not fs 1; use a version of Postern that knows it'],
    ['fs 1', undefined],
    ['', 'says "", which is not a layout of mail; give another directory'],
    ['fs 1\nfs 1\n', 'says "fs 1\\nfs 1", which is not a layout of mail; give another directory'],
    [`${'\u001b'.repeat(5000)}`, 'which is not a layout of mail; give another directory'],
  ])('%j', (text, refusal) => {
    const directory = freshDirectory()
    writeFileSync(join(directory, '.postern'), text)
    if (refusal === undefined) {
      fs(directory)
      return
    }
    const before = snapshot(directory)
    for (const writable of [true, false]) {
      expect(() => fs(directory, { writable })).toThrow(
        expect.objectContaining({ code: 'other-layout', message: expect.stringContaining(refusal) as string }) as Error,
      )
    }
    expect(snapshot(directory)).toEqual(before)
  })

  test('lets only one of two layouts have a directory that both open at the same time', () => {
    const directory = freshDirectory()
    openDirectory(directory, [MAILDIR])
    expect(() => fs(directory)).toThrow('open it as maildir:')
    expect(openDirectory(directory, [MAILDIR])).toEqual({ root: directory, layout: MAILDIR })
  })

  test('is not read if it is not a regular file', () => {
    const linked = freshDirectory()
    writeFileSync(join(linked, 'elsewhere'), 'fs 1\n')
    symlinkSync(join(linked, 'elsewhere'), join(linked, '.postern'))
    expect(() => fs(linked)).toThrow(`can't keep mail in ${linked}: `)
    const folder = freshDirectory()
    mkdirSync(join(folder, '.postern'))
    expect(() => fs(folder)).toThrow(`can't keep mail in ${folder}: `)
  })
})

describe('opened for reading only', () => {
  test('a store can read mail, changes nothing, and denies writing', async () => {
    const directory = freshDirectory()
    const id = idAt(Date.now())
    const writing = fs(directory)
    await saveText(mailStore(writing), id)
    await put(writing, 'a/large', new Uint8Array(200_000))
    rmSync(join(directory, '.tmp'), { recursive: true })
    rmSync(join(directory, '.postern'))
    const before = snapshot(directory)
    const store = fs(directory, { writable: false })
    const mail = mailStore(store)
    expect((await mail.list()).records.map((record) => record.id)).toEqual([id])
    await (await mail.load(id)).verify()
    expect(await get(store, 'a/large')).toHaveLength(200_000)
    await expectCode('denied', () => put(store, 'a/b'))
    await expectCode('denied', () => put(store, 'a/c', new Uint8Array(200_000)))
    await expectCode('denied', () => store.delete('a/large'))
    await expectCode('denied', () => mail.delete(id))
    await expectCode('denied', () => mail.bounce(id, { reason: 'x' }))
    expect(snapshot(directory)).toEqual(before)
  })

  test('a store does not create a missing directory', async () => {
    const directory = join(freshDirectory(), 'missing')
    expect(() => fs(directory, { writable: false })).toThrow(
      `can't read mail in ${directory}: there is no such directory`,
    )
    expect(readdirSync(join(directory, '..'))).toEqual([])
    writeFileSync(directory, '')
    expect(() => fs(directory, { writable: false })).toThrow(`${directory} is not a directory`)
  })
})

describe('permissions', () => {
  test.each([0o000, 0o002, 0o022, 0o027, 0o077])('files are 0600 and directories 0700, umask %o', async (mask) => {
    const directory = join(freshDirectory(), 'new/deep')
    const before = process.umask(mask)
    try {
      const store = fs(directory)
      await put(store, 'a/b')
      await put(store, 'a/large', new Uint8Array(100_000))
      expect(await keysIn(store)).toEqual(['a/b', 'a/large'])
    } finally {
      process.umask(before)
    }
    for (const path of ['..', '.', '.tmp', 'a']) expect(statSync(join(directory, path)).mode & 0o7777).toBe(0o700)
    for (const path of ['.postern', 'a/b', 'a/large']) expect(statSync(join(directory, path)).mode & 0o7777).toBe(0o600)
  })

  // Root could still write, but another reader of the mail, such as a backup, could not read.
  test.each([0o777, 0o700, 0o400, 0o200, 0o100])(
    'a umask that takes permissions from the owner is refused, %o',
    (mask) => {
      const above = freshDirectory()
      const existing = freshDirectory()
      const before = process.umask(mask)
      try {
        expect(() => fs(join(above, 'mail'))).toThrow(/: the umask takes permissions from the owner; set it to 077$/)
        expect(() => fs(existing)).toThrow(/: the umask takes permissions from the owner; set it to 077$/)
      } finally {
        process.umask(before)
      }
      expect(readdirSync(above)).toEqual([])
      expect(readdirSync(existing)).toEqual([])
    },
  )

  test('an existing directory keeps its permissions, and only the owner can access new files in it', async () => {
    for (const mode of [0o700, 0o755, 0o2775, 0o1777]) {
      const directory = freshDirectory()
      chmodSync(directory, mode)
      const store = fs(directory)
      await put(store, 'a/b')
      expect(statSync(directory).mode & 0o7777).toBe(mode)
      expect(statSync(join(directory, 'a')).mode & 0o777).toBe(0o700)
      expect(statSync(join(directory, 'a/b')).mode & 0o777).toBe(0o600)
    }
  })
})
