/** A full disk: the tests fill a small tmpfs. Mounting it needs root. */
import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal, type Session } from '@postern/engine'
import { keep, mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { afterAll, beforeAll, expect } from 'vitest'
import { TMPFS } from '../../../test/kit/abilities.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { testWith } from '../../../test/kit/need.ts'
import { inParallel, pattern } from './blob-contract.ts'
import { hookMessageOf, idAt, saveText, SESSION } from '../../../test/contracts/mail/messages.ts'
import { idsOf } from '../../../test/contracts/mail/opened.ts'

let directory = ''

beforeAll(() => {
  if (TMPFS.missing !== undefined) return
  directory = temporaryDirectory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory], { stdio: 'pipe' })
})

afterAll(() => {
  if (directory === '') return
  execFileSync('umount', [directory])
})

testWith(
  [TMPFS],
  'a full disk makes saves fail with 452, loses and tears no message, and accepts mail again when there is room',
  async () => {
    const store = fs(join(directory, 'files'))
    const mail = mailStore(store)
    const hook = keep(store)
    const kept: string[] = []
    const refused: Refusal[] = []
    async function send(size: number): Promise<void> {
      const id = idAt(Date.now())
      try {
        await hook(hookMessageOf(id, [pattern(size / 2), pattern(size / 2)]), SESSION as Session)
        kept.push(id)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        refused.push(error)
      }
    }
    // Small and large messages, many at once, and far more than fit.
    await inParallel(
      Array.from({ length: 200 }, (_, index) => (index % 4 === 0 ? 150_000 : 20_000)),
      send,
      20,
    )
    while (refused.length < 5) await send(100_000)
    for (const refusal of refused) {
      expect(refusal.reply.wire).toMatch(/^452 4\.3\.1 /)
      expect(refusal.cause).toMatchObject({ code: 'no-space' })
    }
    expect(kept.length).toBeGreaterThan(5)
    expect(readdirSync(join(directory, 'files/.tmp'))).toEqual([])
    const page = await mail.list({ limit: 1000 })
    expect(page.corrupt).toEqual([])
    expect(idsOf(page)).toEqual(kept.toSorted().toReversed())
    for (const id of kept) await (await mail.load(id)).verify()
    // A store that opens the full directory can still delete.
    const later = mailStore(fs(join(directory, 'files')))
    for (const id of kept) await later.delete(id)
    const id = idAt(Date.now())
    await saveText(mail, id)
    await (await mail.load(id)).verify()
    await send(400_000)
    expect(kept).toContain((await mail.list()).records.find((record) => record.size > 400_000)?.id)
  },
)

testWith(
  [TMPFS],
  'a full disk of packs makes saves fail with 452, loses and tears no message, and accepts mail again when there is room',
  async () => {
    rmSync(join(directory, 'files'), { recursive: true })
    const filler = join(directory, 'filler')
    writeFileSync(filler, pattern(300_000))
    const store = fs(join(directory, 'packs'), { layout: 'packed' })
    const mail = mailStore(store)
    const ids = Array.from({ length: 200 }, (_, index) => idAt(Date.now(), index))
    const kept: string[] = []
    await inParallel(
      ids,
      async (id) => {
        try {
          await keep(store)(hookMessageOf(id, [pattern(20_000)]), SESSION as Session)
          kept.push(id)
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
          expect(error.reply.wire).toMatch(/^452 4\.3\.1 /)
        }
      },
      20,
    )
    expect(kept.length).toBeGreaterThan(20)
    expect(kept.length).toBeLessThan(ids.length)
    for (const each of [mail, mailStore(fs(join(directory, 'packs')))]) {
      const page = await each.list({ limit: 1000 })
      expect(page.corrupt).toEqual([])
      expect(idsOf(page)).toEqual(kept.toSorted().toReversed())
      for (const id of kept) await (await each.load(id)).verify()
    }
    rmSync(filler)
    const last = idAt(Date.now())
    await saveText(mail, last)
    for (const id of kept) await mail.delete(id)
    await mail.sweep({ olderThanMs: 0 })
    expect(idsOf(await mail.list())).toEqual([last])
  },
)
