/**
 * The store's directory is lost while a store has it open: renamed, replaced, unmounted. Nothing is kept anywhere else, and once the
 * directory is back, mail is taken again by the same store. Mounting takes root.
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
import { temporaryDirectory } from '../../../test/kit/scratch.ts'
import { allPages, idsOf } from '../../../test/contracts/mail/opened.ts'
import { bytesOf, idAt, messageOf, saveText, SESSION } from '../../../test/contracts/mail/messages.ts'

const parent = temporaryDirectory()
const LAYOUTS = ['files', 'packed', 'maildir'] as const
type Layout = (typeof LAYOUTS)[number]

interface Subject {
  readonly directory: string
  /** Where the directory goes. */
  readonly elsewhere: string
  readonly mail: MailStore
  /** What the store said of its directory. */
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

/** Ten messages, one after the other and at once: none is kept. */
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
  test('renamed, and an empty directory in its place: nothing is kept there, and once it is back all goes on', async () => {
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

  test('renamed before its first message, and nothing in its place', async () => {
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
  ])('renamed, and %s in its place: nothing is kept there', async (_, replace) => {
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

  test('lost and found while large messages arrive: each is whole, or nowhere', async () => {
    const { directory, elsewhere, mail } = subject(layout)
    const ids = [await keep(mail)]
    const later = Promise.withResolvers<void>()
    const lost = Promise.withResolvers<void>()
    const begun: Promise<void>[] = []
    /** A message of which a part is in a file when `end` comes. */
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
// Also what a test that failed left behind.
afterAll(() => {
  for (const directory of mounted) spawnSync('umount', ['-l', directory])
})

function mount(...args: readonly [...string[], string]): void {
  execFileSync('mount', args, { stdio: 'pipe' })
  mounted.unshift(args.at(-1) as string)
}

describe.each(LAYOUTS)('%s on a mount of its own', (layout) => {
  /** A store on a tmpfs that is mounted there and, to be found again, in another place. */
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

  testWith([TMPFS], 'unmounted: nothing is kept beneath; the same file system mounted again: all goes on', async () => {
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
  })

  testWith([TMPFS], 'unmounted where a server once began without the mount: nothing is kept beneath', async () => {
    const place = mkdtempSync(join(parent, 'mount-'))
    const beneath = [await keep(open(layout, place))]
    mount('-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', place)
    const mail = open(layout, place)
    await keep(mail)
    execFileSync('umount', ['-l', place])
    await expectLost(mail)
    await expectOnly(open(layout, place), beneath)
  })

  testWith([TMPFS], 'unmounted, and another disk mounted: mail is kept on that', async () => {
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

  testWith([TMPFS], 'unmounted, and a disk of another layout mounted: nothing is kept there', async () => {
    const { directory, mail, said } = onMount()
    await keep(mail)
    execFileSync('umount', ['-l', directory])
    mount('-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', directory)
    open(layout === 'files' ? 'packed' : 'files', directory)
    const before = filesIn(directory)
    await expectLost(mail)
    expect(filesIn(directory)).toEqual(before)
    expect(said).toHaveLength(1)
    expect(said[0]).toMatch(/is another file system, and can not be used: .* holds mail in the layout /)
  })

  testWith([TMPFS], 'what is mounted over it hides it, and is not written to', async () => {
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
