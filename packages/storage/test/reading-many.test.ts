/** What it costs a store on a disk to read many messages: each folder is read once, however many pages its keys would be. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { mailStore, type WalkableMailStore } from '@postern/storage'
import type { FsLayout } from '@postern/storage/fs'
import { describe, expect, test } from 'vitest'
import { idAt, saveText } from '../../../test/contracts/mail/messages.ts'
import { idsOf } from '../../../test/contracts/mail/opened.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { blockingDisk, type Disk, nodeDisk } from '../src/disk/disk.ts'
import { fsOn } from '../src/fs/index.ts'
import { inParallel, SLOW } from './blob-contract.ts'

const parent = temporaryDirectory()
const START = Date.parse('2026-11-21T05:42:00Z')
const FOLDERS = ['', '2026', '2026/11', '2026/11/21', '2026/11/21/0542', '2026/11/21/0543']
/** More keys in each of two minutes than a page of keys has. */
const IDS = Array.from({ length: 1200 }, (_, index) => idAt(START + Math.floor(index / 600) * 60_000 + index, index))

/** A disk that does not wait until bytes are safe. */
function swiftly(disk: Disk): Disk {
  return { ...disk, fsync: async () => {} }
}

interface Filled {
  readonly mail: WalkableMailStore
  /** Which directories were read since the last call. */
  reads(): string[]
  /** How many files were opened since the last call. */
  opens(): number
}

/** Makes a directory that has a message of each id. */
async function fill(layout: FsLayout): Promise<string> {
  const directory = mkdtempSync(join(parent, 'store-'))
  const writing = mailStore(fsOn(swiftly(nodeDisk), directory, { layout }))
  await inParallel(IDS, (id) => saveText(writing, id), 100)
  return directory
}

/** The directories that are filled. Each test opens them anew, and none changes them. */
const directories = new Map<FsLayout, Promise<string>>()

async function filled(layout: FsLayout, disk: Disk = nodeDisk): Promise<Filled> {
  const filling = directories.get(layout) ?? fill(layout)
  directories.set(layout, filling)
  const directory = await filling
  const reads: string[] = []
  let opens = 0
  const counted: Disk = {
    ...disk,
    readdir(path) {
      reads.push(path.slice(directory.length + 1).replace(/\/$/, ''))
      return disk.readdir(path)
    },
    open(path, flags, mode) {
      opens++
      return disk.open(path, flags, mode)
    },
  }
  return {
    mail: mailStore(fsOn(counted, directory, { writable: false })),
    reads: () => reads.splice(0).toSorted(),
    opens: () => [opens, (opens = 0)][0] as number,
  }
}

describe.each(['files', 'packed'] as const)('in the layout %s', (layout) => {
  test('a page reads each folder at most once, and only those that it needs', SLOW, async () => {
    const { mail, reads } = await filled(layout)
    expect(idsOf(await mail.list({ limit: 10 }))).toEqual(IDS.slice(-10).toReversed())
    const listed = reads()
    // A store of packs also looks at the folder of each record.
    expect(new Set(listed)).toEqual(new Set(FOLDERS.filter((folder) => !folder.endsWith('0542'))))
    if (layout === 'files') expect(listed).toHaveLength(FOLDERS.length - 1)
    expect(idsOf(await mail.list({ limit: 700, cursor: IDS[900] as string }))).toEqual(IDS.slice(200, 900).toReversed())
    if (layout === 'files') expect(reads()).toEqual(FOLDERS)
  })

  test.each(['newest-first', 'oldest-first'] as const)('a walk, %s, reads each folder once', SLOW, async (order) => {
    const { mail, reads, opens } = await filled(layout)
    const found: string[] = []
    for await (const { id, mail: each } of mail.walk({ order, heldBytes: 1024 })) {
      await each?.verify()
      found.push(id)
    }
    expect(found).toEqual(order === 'oldest-first' ? IDS : IDS.toReversed())
    const listed = reads()
    if (layout === 'files') expect(listed).toEqual(FOLDERS)
    // The records that are read ahead when the walk comes to the next minute look at their folder again.
    else expect(listed.length).toBeLessThan(FOLDERS.length + 40)
    // A file for each record and message, or a piece of a pack for hundreds of them.
    expect(opens()).toBeLessThanOrEqual(layout === 'files' ? 2 * IDS.length : 60)
  })

  test('a walk since a time reads only the folders and records of that time', SLOW, async () => {
    const { mail, reads, opens } = await filled(layout)
    const found: string[] = []
    const since = new Date(START + 60_000 + 1190)
    for await (const { id } of mail.walk({ since })) found.push(id)
    expect(found).toEqual(IDS.slice(1190).toReversed())
    expect(new Set(reads())).toEqual(new Set(FOLDERS.filter((folder) => !folder.endsWith('0542'))))
    expect(opens()).toBeLessThanOrEqual(10)
  })

  test('an expiry reads each minute once', SLOW, async () => {
    const { mail, reads } = await filled(layout)
    await mail.expire({ maxCount: 5000 })
    const listed = reads().filter((path) => path.startsWith('2026/11/21/'))
    expect(listed).toEqual(['2026/11/21/0542', '2026/11/21/0543'])
  })

  test('a walk leaves out a message that is deleted meanwhile, and goes on', SLOW, async () => {
    const directory = mkdtempSync(join(parent, 'store-'))
    const mail = mailStore(fsOn(swiftly(nodeDisk), directory, { layout }))
    const ids = IDS.slice(0, 100)
    await inParallel(ids, (id) => saveText(mail, id), 100)
    const walking = mailStore(fsOn(blockingDisk, directory, { writable: false })).walk({ order: 'oldest-first' })
    const found: string[] = []
    for await (const { id, mail: each } of walking) {
      if (id === ids[0]) {
        // The whole folder is removed, except the last message.
        await inParallel(ids.slice(1, -1), (other) => mail.delete(other), 20)
        await mail.sweep({ olderThanMs: 0 })
      }
      expect(each?.record.id).toBe(id)
      found.push(id)
    }
    expect(found[0]).toBe(ids[0])
    expect(found.at(-1)).toBe(ids.at(-1))
    // The view may find what was there when it looked. In files, only the records that were read ahead are left.
    if (layout === 'files') expect(found.length).toBeLessThan(30)
  })

  test('a disk that blocks shows the same', SLOW, async () => {
    const { mail } = await filled(layout, blockingDisk)
    expect(idsOf(await mail.list({ limit: 1000 }))).toEqual(IDS.slice(-1000).toReversed())
    expect((await mail.load(IDS[7] as string)).record.id).toBe(IDS[7])
  })
})
