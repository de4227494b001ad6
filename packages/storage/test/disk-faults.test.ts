/** Each call of the store to its disk fails, first this call alone, then all calls from it on. Then the disk works again. */
import { Refusal, type Session } from '@postern/engine'
import { type BlobStore, isStorageError, keep, type StorageErrorCode } from '@postern/storage'
import { expect, test } from 'vitest'
import { isThorough, sample, sampler } from '../../../test/kit/sample.ts'
import type { Disk } from '../src/disk/disk.ts'
import { keysIn } from './blobs.ts'
import { systemError } from './disks.ts'
import { FILES, type FsLayout, PACKED } from './fs-layouts.ts'
import { bytesOf, hookMessageOf, idAt, SESSION } from '../../../test/contracts/mail/messages.ts'
import { type Fault, PowerCutDisk } from './power-cut-disk.ts'
import { Book, expectFates, finish, listWhole, SCENARIOS } from './scenarios.ts'

const SLOW = { timeout: 120_000 }
/** How many calls of a scenario are skipped for each call that fails. */
const ONE_IN = 5

interface Trouble {
  readonly name: string
  readonly code: StorageErrorCode
  /** The reply that the client gets. */
  readonly reply: RegExp
  /** What may be left: files for the sweep, or a message although its client got a refusal. */
  readonly leaves: 'nothing' | 'halves' | 'messages'
  from(nth: number): Fault
}

/** Calls that need space on the disk. */
const GROWING: readonly (keyof Disk)[] = ['open', 'write', 'fsync', 'mkdir', 'link']

function once(system: string): Trouble['from'] {
  return (nth) => ({ before: (call, at) => (at === nth ? systemError(system, call) : undefined) })
}

const TROUBLES: readonly Trouble[] = [
  { name: 'ENOSPC once', code: 'no-space', reply: /^452 4\.3\.1 /, leaves: 'nothing', from: once('ENOSPC') },
  { name: 'EDQUOT once', code: 'no-space', reply: /^452 4\.3\.1 /, leaves: 'nothing', from: once('EDQUOT') },
  { name: 'EIO once', code: 'unavailable', reply: /^451 4\.3\.0 /, leaves: 'nothing', from: once('EIO') },
  { name: 'EMFILE once', code: 'unavailable', reply: /^451 4\.3\.0 /, leaves: 'nothing', from: once('EMFILE') },
  { name: 'EACCES once', code: 'denied', reply: /^451 4\.3\.0 /, leaves: 'nothing', from: once('EACCES') },
  {
    name: 'EIO once, of a call that did its work',
    code: 'unavailable',
    reply: /^451 4\.3\.0 /,
    leaves: 'halves',
    from: (nth) => ({ after: (call, at) => (at === nth ? systemError('EIO', call) : undefined) }),
  },
  {
    name: 'ENOSPC from then on',
    code: 'no-space',
    reply: /^452 4\.3\.1 /,
    leaves: 'halves',
    from: (nth) => ({
      before: (call, at) => (at >= nth && GROWING.includes(call) ? systemError('ENOSPC', call) : undefined),
    }),
  },
  {
    name: 'EIO from then on',
    code: 'unavailable',
    reply: /^451 4\.3\.0 /,
    leaves: 'messages',
    from: (nth) => ({ before: (call, at) => (at >= nth ? systemError('EIO', call) : undefined) }),
  },
]

/** For these rows, all errors that happen once count as one. */
const APART = TROUBLES.filter(({ name }) => !/^E(?:DQUOT|IO|MFILE|ACCES) once$/.test(name))
const LAYOUTS: readonly FsLayout[] = [FILES, PACKED]
/** By default, packs meet one failing call, and all calls failing from one on. The other rows run with `THOROUGH=1`. */
const OF_PACKS = /^ENOSPC once$|^EIO from then on$/
/** By default, each row meets so many scenarios. */
const SCENARIOS_OF_EACH = 3
const ROWS = LAYOUTS.flatMap((fs) =>
  APART.filter(({ name }) => fs === FILES || isThorough || OF_PACKS.test(name)).flatMap((trouble) =>
    sample(SCENARIOS, SCENARIOS_OF_EACH, saltOf(fs, trouble)).map((scenario) => ({ fs, trouble, scenario })),
  ),
)

test.each(ROWS)(
  '$fs.layout: $trouble.name loses no saved message, at every call of $scenario.name',
  SLOW,
  async ({ fs, trouble, scenario }) => {
    const first = new PowerCutDisk(fs.ages)
    const prepared = new Book(first, new Map(), fs.open)
    await scenario.prepare(prepared)
    let failed = 0
    let calls = 0
    const isChosen = sampler(ONE_IN)
    for (let nth = 1; ; nth++) {
      if (nth <= calls && !isChosen()) continue
      const disk = safely(first)
      const book = new Book(disk, prepared.fates, fs.open)
      let failing: keyof Disk | undefined
      const fault = trouble.from(nth)
      disk.fault = {
        before: (call, at) => noted(call, fault.before?.(call, at)),
        after: (call, at) => noted(call, fault.after?.(call, at)),
      }
      function noted(call: keyof Disk, error: Error | undefined): Error | undefined {
        if (error !== undefined) failing ??= call
        return error
      }
      try {
        await scenario.run(book)
      } catch (error) {
        if (!isStorageError(error, trouble.code)) throw error
        failed++
      }
      calls = disk.calls
      disk.fault = {}
      expectClosed(disk, fs)
      await expectFates(book.mail, book.fates)
      // The failing call may be the one that cleans up.
      if (trouble.leaves === 'nothing' && failing !== 'unlink') await expectTidy(disk, fs, book)
      const later = safely(disk)
      await expectFates(new Book(later, new Map(), fs.open).mail, book.fates)
      await fs.expectSwept(disk, book)
      await finish(book)
      if (nth > calls) break
    }
    expect(failed).toBeGreaterThan(0)
  },
)

const HEARD = LAYOUTS.flatMap((fs) => (fs === FILES ? TROUBLES : APART).map((trouble) => ({ fs, trouble })))

test.each(HEARD)(
  '$fs.layout: the client gets the right refusal or 250 for $trouble.name, at every call of a message',
  SLOW,
  async ({ fs, trouble }) => {
    for (const size of sample([10, 66_000], 1, saltOf(fs, trouble))) {
      const counts = { kept: 0, refused: 0 }
      for (let nth = 1; ; nth++) {
        const disk = new PowerCutDisk(fs.ages)
        const store = fs.blobs(disk)
        const id = idAt('2026-11-21T05:42:00Z', nth)
        disk.fault = trouble.from(nth)
        const wire = await answerOf(store, id, size)
        disk.fault = {}
        const { kept } = await listWhole(fs.open(disk))
        if (wire.startsWith('250 ')) {
          counts.kept++
          expect([...kept]).toEqual([id])
        } else {
          counts.refused++
          expect(wire).toMatch(trouble.reply)
          if (trouble.leaves !== 'messages') expect([...kept]).toEqual([])
        }
        // The client tries again with another message.
        const again = idAt('2026-11-21T05:43:00Z', nth)
        expect(await answerOf(store, again, size)).toMatch(/^250 /)
        expect([...(await listWhole(fs.open(safely(disk)))).kept]).toContain(again)
        if (nth > disk.calls) break
      }
      expect(counts.refused).toBeGreaterThan(10)
      console.info(`${fs.layout}: ${trouble.name}, ${size} bytes: ${counts.refused} refused, ${counts.kept} kept`)
    }
  },
)

/** Returns a different number for each row. */
function saltOf(fs: FsLayout, trouble: Trouble): number {
  return TROUBLES.indexOf(trouble) * LAYOUTS.length + LAYOUTS.indexOf(fs)
}

async function answerOf(store: BlobStore, id: string, size: number): Promise<string> {
  try {
    const message = hookMessageOf(id, [bytesOf('Subject: x\r\n\r\n'), new Uint8Array(size)])
    return (await keep(store)(message, SESSION as Session)).wire
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return error.reply.wire
  }
}

/** The disk after a power cut that leaves only synced data. */
function safely(disk: PowerCutDisk): PowerCutDisk {
  return disk.cut(
    () => 0,
    () => 0,
  )
}

/** Checks that only packs stay open, which are few. */
function expectClosed(disk: PowerCutDisk, { layout }: FsLayout): void {
  expect(disk.openFiles).toBeLessThanOrEqual(layout === 'packed' ? 4 : 0)
}

/** Checks that no temporary file is left, and no bytes without an envelope, except those of an unfinished delete. */
async function expectTidy(disk: PowerCutDisk, fs: FsLayout, { fates }: Book): Promise<void> {
  expect(disk.files().filter((file) => file.startsWith('.tmp/'))).toEqual([])
  const keys = await keysIn(fs.blobs(disk))
  for (const key of keys.filter((each) => each.endsWith('.eml'))) {
    const envelope = key.replace(/eml$/, 'json')
    const isDeleted = fates.get(key.slice(-30, -4)) === 'is deleted'
    expect(isDeleted || keys.includes(envelope) || keys.includes(`bounced/${envelope}`), key).toBe(true)
  }
}
