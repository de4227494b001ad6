/**
 * The directory of a store is lost while the store is open: renamed, replaced or unmounted. The store keeps mail nowhere else, and it
 * takes mail again once the directory is back. Mounting needs root.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type MailStore, mailStore, type StorageError } from '@postern/storage'
import { fs, type FsLayout } from '@postern/storage/fs'
import { maildir } from '@postern/storage/maildir'
import { afterAll, describe, expect, test } from 'vitest'
import { TMPFS } from '../../../test/kit/abilities.ts'
import { testWith } from '../../../test/kit/need.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { allPages, idsOf } from '../../../test/contracts/mail/opened.ts'
import { bytesOf, idAt, messageOf, saveText, SESSION } from '../../../test/contracts/mail/messages.ts'

const parent = temporaryDirectory()
const LAYOUTS = ['files', 'packed', 'maildir'] as const
type Layout = (typeof LAYOUTS)[number]

interface Subject {
  readonly directory: string
  /** The path that the test moves the directory to. */
  readonly elsewhere: string
  readonly mail: MailStore
  /** What the store reported about its directory. */
  readonly said: string[]
}

function open(layout: Layout, directory: string, said: string[] = []): MailStore {
  const watch = {
    lost: (error: StorageError) => said.push(`lost: ${error.message}`),
    back: () => said.push('back'),
  }
  if (layout === 'maildir') return maildir(directory, { create: 'any', hostname: 'mx1', ...watch })
  return mailStore(fs(directory, { layout: layout satisfies FsLayout, ...watch }))
}

function subject(layout: Layout): Subject {
  const place = mkdtempSync(join(parent, 'place-'))
  const [directory, elsewhere] = [join(place, 'mail'), join(place, 'elsewhere')]
  const said: string[] = []
  return { directory, elsewhere, said, mail: open(layout, directory, said) }
}

async function keep(mail: MailStore): Promise<string> {
  const id = idAt(Date.now())
  await saveText(mail, id)
  return id
}

/** Saves ten messages, one by one and at once. Checks that none is kept. */
async function expectLost(mail: MailStore): Promise<void> {
  for (let count = 0; count < 2; count++) await expect(keep(mail)).rejects.toMatchObject({ code: 'lost' })
  const some = await Promise.allSettled(Array.from({ length: 8 }, () => keep(mail)))
  for (const each of some) expect(each).toMatchObject({ status: 'rejected', reason: { code: 'lost' } })
}

async function expectOnly(mail: MailStore, ids: readonly string[]): Promise<void> {
  const pages = await allPages(mail, 100)
  expect(pages.flatMap((page) => page.corrupt)).toEqual([])
  expect(pages.flatMap(idsOf)).toEqual(ids.toSorted().toReversed())
  for (const id of ids) await (await mail.load(id)).verify()
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
}

describe.each(LAYOUTS)('%s', (layout) => {
  test('keeps nothing in an empty directory that replaces the renamed one, and goes on once the renamed one is back', async () => {
    const { directory, elsewhere, mail, said } = subject(layout)
    const ids = [await keep(mail), await keep(mail)]
    renameSync(directory, elsewhere)
    mkdirSync(directory)
    await expectLost(mail)
    expect(readdirSync(directory)).toEqual([])
    expect(said).toEqual([`lost: ${directory} is not the directory that was opened: was it unmounted or renamed?`])
    rmSync(directory, { recursive: true })
    renameSync(elsewhere, directory)
    ids.push(await keep(mail), await keep(mail))
    expect(said.slice(1)).toEqual(['back'])
    await expectOnly(mail, ids)
    await expectOnly(open(layout, directory), ids)
  })

  test('reports the directory as lost if it is renamed before the first message and not replaced', async () => {
    const { directory, elsewhere, mail, said } = subject(layout)
    renameSync(directory, elsewhere)
    await expectLost(mail)
    expect(said).toEqual([`lost: ${directory} is gone: was it unmounted or renamed?`])
    renameSync(elsewhere, directory)
    await expectOnly(mail, [await keep(mail)])
    expect(said.slice(1)).toEqual(['back'])
  })

  test.each([
    ['a copy of it', (from: string, to: string) => cpSync(from, to, { recursive: true, preserveTimestamps: true })],
    ['another store', (_: string, to: string) => void open(layout, to)],
    ['a file', (_: string, to: string) => writeFileSync(to, '')],
  ])('keeps nothing if the directory is renamed and %s takes its place', async (_, replace) => {
    const { directory, elsewhere, mail } = subject(layout)
    const ids = [await keep(mail)]
    renameSync(directory, elsewhere)
    replace(elsewhere, directory)
    await expectLost(mail)
    rmSync(directory, { recursive: true })
    renameSync(elsewhere, directory)
    ids.push(await keep(mail))
    await expectOnly(mail, ids)
  })

  test('keeps large messages whole or not at all if the directory is lost and comes back meanwhile', async () => {
    const { directory, elsewhere, mail } = subject(layout)
    const ids = [await keep(mail)]
    const later = Promise.withResolvers<void>()
    const lost = Promise.withResolvers<void>()
    const begun: Promise<void>[] = []
    /** A message that is partly in a file when the test calls `end`. */
    function begin(id: string, end: Promise<void>): Promise<unknown> {
      const chunks = Array.from({ length: 6 }, () => bytesOf('0123456789abcde\r\n'.repeat(2000)))
      const message = messageOf(id, chunks)
      const half = Promise.withResolvers<void>()
      begun.push(half.promise)
      let reads = 0
      async function read(): Promise<Uint8Array | null> {
        if (++reads === 5) {
          half.resolve()
          await end
        }
        return message.read()
      }
      return mail.save({ ...message, read }, SESSION)
    }
    const [early, late] = [idAt(Date.now()), idAt(Date.now())]
    const first = begin(early, lost.promise).catch((error: unknown) => error)
    const second = begin(late, later.promise)
    await Promise.all(begun)
    renameSync(directory, elsewhere)
    mkdirSync(directory)
    lost.resolve()
    expect(await first).toMatchObject({ code: 'lost' })
    rmSync(directory, { recursive: true })
    renameSync(elsewhere, directory)
    later.resolve()
    await second
    await expectOnly(mail, [...ids, late])
  })
})

const mounted: string[] = []
// Also unmounts what a failed test left behind.
afterAll(() => {
  for (const directory of mounted) spawnSync('umount', ['-l', directory])
})

function mount(...args: readonly [...string[], string]): void {
  execFileSync('mount', args, { stdio: 'pipe' })
  mounted.unshift(args.at(-1) as string)
}

describe.each(LAYOUTS)('%s on a mount of its own', (layout) => {
  /** Opens a store on a tmpfs, which is mounted a second time elsewhere so that the test can bring it back. */
  function onMount(): Subject {
    const place = mkdtempSync(join(parent, 'mount-'))
    const [directory, elsewhere] = [join(place, 'mail'), join(place, 'elsewhere')]
    mkdirSync(directory)
    mkdirSync(elsewhere)
    mount('-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', elsewhere)
    mount('--bind', elsewhere, directory)
    const said: string[] = []
    return { directory, elsewhere, said, mail: open(layout, directory, said) }
  }

  testWith(
    [TMPFS],
    'keeps nothing below the mount point after an unmount, and goes on once the same file system is mounted again',
    async () => {
      const { directory, elsewhere, mail, said } = onMount()
      const ids = [await keep(mail), await keep(mail)]
      execFileSync('umount', ['-l', directory])
      await expectLost(mail)
      expect(filesIn(directory)).toEqual([])
      mount('--bind', elsewhere, directory)
      ids.push(await keep(mail))
      await expectOnly(mail, ids)
      expect(said.map((line) => line.split(':')[0])).toEqual(['lost', 'back'])
      execFileSync('umount', ['-l', directory])
    },
  )

  testWith(
    [TMPFS],
    'keeps nothing below the mount point after an unmount, even if a server once started without the mount',
    async () => {
      const place = mkdtempSync(join(parent, 'mount-'))
      const beneath = [await keep(open(layout, place))]
      mount('-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', place)
      const mail = open(layout, place)
      await keep(mail)
      execFileSync('umount', ['-l', place])
      await expectLost(mail)
      await expectOnly(open(layout, place), beneath)
    },
  )

  testWith([TMPFS], 'keeps mail on another disk that is mounted instead', async () => {
    const { directory, mail, said } = onMount()
    await keep(mail)
    execFileSync('umount', ['-l', directory])
    await expectLost(mail)
    mount('-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory)
    const ids = [await keep(mail), await keep(mail)]
    await expectOnly(mail, ids)
    await expectOnly(open(layout, directory), ids)
    expect(said.map((line) => line.split(':')[0])).toEqual(['lost', 'back'])
  })

  testWith([TMPFS], 'keeps nothing on a disk of another layout that is mounted instead', async () => {
    const { directory, mail, said } = onMount()
    await keep(mail)
    execFileSync('umount', ['-l', directory])
    mount('-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory)
    open(layout === 'files' ? 'packed' : 'files', directory)
    const before = filesIn(directory)
    await expectLost(mail)
    expect(filesIn(directory)).toEqual(before)
    expect(said).toHaveLength(1)
    expect(said[0]).toMatch(/is another file system, which cannot be used: .* holds mail in the layout /)
  })

  testWith([TMPFS], 'keeps nothing on a disk that is mounted over the directory', async () => {
    const { directory, mail, said } = subject(layout)
    const ids = [await keep(mail)]
    mount('-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory)
    await expectLost(mail)
    expect(filesIn(directory)).toEqual([])
    execFileSync('umount', [directory])
    ids.push(await keep(mail))
    await expectOnly(mail, ids)
    expect(said.map((line) => line.split(':')[0])).toEqual(['lost', 'back'])
  })
})
