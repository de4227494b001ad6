/** Scenarios for a store whose disk stops or fails, and a record of the answers that the store gave. */
import { type MailStore, mailStore } from '@postern/storage'
import { expect } from 'vitest'
import { fsAt } from '../src/fs/index.ts'
import { ABORTED, bytesOf, idAt, messageOf, SESSION } from '../../../test/contracts/mail/messages.ts'
import { allPages, idsOf } from '../../../test/contracts/mail/opened.ts'
import { type PowerCutDisk, ROOT } from './power-cut-disk.ts'

/** The known state of a message: its last answered operation, or an operation that began and was not answered. */
export type Fate = 'kept' | 'deleted' | 'bounced' | 'is saved' | 'is deleted' | 'is bounced'

export type OpenStore = (disk: PowerCutDisk) => MailStore

const openFiles: OpenStore = (disk) => mailStore(fsAt(disk, ROOT))

/** A store on a disk, and the answers it gives. */
export class Book {
  readonly disk: PowerCutDisk
  readonly mail: MailStore
  readonly fates: Map<string, Fate>

  /** @param open Opens a store on the disk. Default: files by time. */
  constructor(disk: PowerCutDisk, fates: ReadonlyMap<string, Fate> = new Map(), open: OpenStore = openFiles) {
    this.disk = disk
    this.mail = open(disk)
    this.fates = new Map(fates)
  }

  async save(id: string, ...sizes: readonly number[]): Promise<void> {
    const chunks = sizes.map((size, index) => new Uint8Array(size).fill(65 + index))
    await this.#does(id, 'is saved', 'kept', () =>
      this.mail.save(messageOf(id, [bytesOf(`Subject: ${id}\r\n\r\n`), ...chunks]), SESSION),
    )
  }

  async saveBroken(id: string): Promise<void> {
    const chunks = [new Uint8Array(66_000), ABORTED]
    this.fates.set(id, 'deleted')
    await this.mail.save(messageOf(id, chunks), SESSION).catch((error: unknown) => {
      if (error !== ABORTED) throw error
    })
  }

  async delete(id: string): Promise<void> {
    await this.#does(id, 'is deleted', 'deleted', () => this.mail.delete(id))
  }

  async bounce(id: string): Promise<void> {
    await this.#does(id, 'is bounced', 'bounced', () => this.mail.bounce(id, { reason: 'no such mailbox' }))
  }

  async #does(id: string, meanwhile: Fate, then: Fate, work: () => Promise<unknown>): Promise<void> {
    this.fates.set(id, meanwhile)
    await work()
    this.fates.set(id, then)
  }
}

export interface Scenario {
  readonly name: string
  prepare(book: Book): Promise<void>
  run(book: Book): Promise<void>
}

const NOW = Date.parse('2026-11-21T05:42:00Z')
const [OLD, OTHER, NEW, THIRD] = [0, 1, 2, 3].map((index) => idAt(NOW, index)) as [string, string, string, string]
const nothing = (): Promise<void> => Promise.resolve()

async function saveTwo(book: Book): Promise<void> {
  await book.save(OLD, 10)
  await book.save(OTHER, 66_000)
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'the first message', prepare: nothing, run: (book) => book.save(NEW, 10) },
  { name: 'a large message', prepare: saveTwo, run: (book) => book.save(NEW, 66_000, 5) },
  {
    name: 'an empty message, and one of a byte',
    prepare: saveTwo,
    run: (book) => both(book.save(NEW), book.save(THIRD, 1)),
  },
  {
    name: 'three messages at once',
    prepare: nothing,
    run: (book) => both(book.save(NEW, 10), book.save(THIRD, 66_000), book.save(idAt(NOW + 60_000, 0), 5)),
  },
  { name: 'a message that is cut off', prepare: saveTwo, run: (book) => book.saveBroken(NEW) },
  { name: 'a delete', prepare: saveTwo, run: (book) => book.delete(OTHER) },
  { name: 'a bounce', prepare: saveTwo, run: (book) => book.bounce(OTHER) },
  {
    name: 'a delete of a bounced message',
    prepare: async (book) => {
      await saveTwo(book)
      await book.bounce(OTHER)
    },
    run: (book) => book.delete(OTHER),
  },
  {
    name: 'a sweep, and a message meanwhile',
    prepare: async (book) => {
      await saveTwo(book)
      await book.bounce(OLD)
      await book.save(idAt('2025-01-02T03:04:00Z', 0), 10)
      await book.delete(idAt('2025-01-02T03:04:00Z', 0))
      // Bytes without an envelope, as a kill leaves them.
      const orphan = idAt(NOW, 9)
      await book.save(orphan, 10)
      await book.bounce(orphan)
      await book.delete(orphan)
    },
    run: (book) =>
      both(
        book.mail.sweep({ olderThanMs: 5_000 }).then(() => undefined),
        book.save(idAt(NOW + 60_000, 1), 10),
      ),
  },
  {
    name: 'a message, its bounce, its delete, another',
    prepare: nothing,
    run: async (book) => {
      await book.save(NEW, 10)
      await book.bounce(NEW)
      await book.delete(NEW)
      await book.save(THIRD, 10)
    },
  },
]

/** Waits for all promises, also if one rejects. */
async function both(...work: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** Returns the listed ids. Reads each message and compares it with its record: none may be torn, answered or not. */
export async function listWhole(mail: MailStore): Promise<{ kept: Set<string>; bounced: Set<string> }> {
  const sets: Set<string>[] = []
  for (const bounced of [false, true]) {
    const pages = await allPages(mail, 500, bounced)
    for (const { corrupt } of pages) if (corrupt.length > 0) throw new Error(`corrupt: ${corrupt.join()}`)
    sets.push(new Set(pages.flatMap(idsOf)))
  }
  const [kept, bounced] = sets as [Set<string>, Set<string>]
  for (const id of [...kept, ...bounced]) await (await mail.load(id)).verify()
  return { kept, bounced }
}

/** Checks that the found messages agree with the answers. It does not use `expect`, which is slow for a million calls. */
export async function expectFates(mail: MailStore, fates: ReadonlyMap<string, Fate>): Promise<void> {
  const { kept, bounced } = await listWhole(mail)
  for (const id of [...kept, ...bounced]) if (!fates.has(id)) throw new Error(`${id} came from nowhere`)
  for (const [id, fate] of fates) {
    const found = `${kept.has(id) ? 'kept ' : ''}${bounced.has(id) ? 'bounced' : ''}`.trim()
    if (!ALLOWED[fate].includes(found)) throw new Error(`${id} ${fate}, and was found '${found}'`)
  }
}

const ALLOWED: Readonly<Record<Fate, readonly string[]>> = {
  kept: ['kept'],
  deleted: [''],
  bounced: ['bounced'],
  'is saved': ['', 'kept'],
  // The message may have bounced before.
  'is deleted': ['', 'kept', 'bounced'],
  'is bounced': ['kept', 'kept bounced', 'bounced'],
}

/** Checks that a sweep leaves exactly two files for each message, and that no answered message is gone. */
export async function expectSwept(disk: PowerCutDisk, book: Book): Promise<void> {
  await book.mail.sweep({ olderThanMs: 0 })
  await expectFates(book.mail, book.fates)
  const kept = new Set((await allPages(book.mail, 500)).flatMap(idsOf))
  const bounced = new Set((await allPages(book.mail, 500, true)).flatMap(idsOf))
  expect(disk.files().filter((file) => file.startsWith('.'))).toEqual([])
  const both = [...kept].filter((id) => bounced.has(id)).length
  expect(disk.files()).toHaveLength(2 * (kept.size + bounced.size) - both)
}

/** Repeats the unfinished operations. A repeated operation that was already done gives no new answer. */
export async function finish(book: Book): Promise<void> {
  for (const [id, fate] of book.fates) {
    if (fate === 'is saved') await again(book, id, () => book.save(id, 10), 'exists')
    if (fate === 'is deleted') await again(book, id, () => book.delete(id), 'not-found')
    if (fate === 'is bounced') await book.bounce(id)
  }
}

async function again(book: Book, id: string, work: () => Promise<void>, mayBe: string): Promise<void> {
  const fate = book.fates.get(id) as Fate
  try {
    await work()
  } catch (error) {
    expect(error).toMatchObject({ code: mayBe })
    book.fates.set(id, fate)
  }
}
