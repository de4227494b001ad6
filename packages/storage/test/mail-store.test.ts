import { mailStore } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { expect, test } from 'vitest'
import { inParallel, mostlyBrief, storeContract } from './blob-contract.ts'
import { put } from './blobs.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { sample } from '../../../test/kit/sample.ts'
import { machineBackends } from './contract/machine.ts'
import { idAt, saveText } from '../../../test/contracts/mail/messages.ts'
import { expectCosts } from '../../../test/contracts/mail/listed.ts'
import { bound, idsOf } from '../../../test/contracts/mail/opened.ts'

const directory = temporaryDirectory()

for (const backend of mostlyBrief(machineBackends(directory), 2)) storeContract('mail', backend)

test('a page costs a few listings, however many messages are stored', async () => {
  const blobs = memory()
  let lists = 0
  const mail = mailStore({
    ...bound(blobs),
    list: (options) => {
      lists++
      return blobs.list(options)
    },
  })
  const start = Date.parse('2026-11-21T05:42:00Z')
  const ids = Array.from({ length: 5000 }, (_, index) => idAt(start + index * 10_000, index))
  await saveText(mail, ids[0] as string)
  expect(idsOf(await mail.list())).toEqual([ids[0]])
  // One listing for the years, and one for all of the only year.
  expect(lists).toBe(2)
  await inParallel(ids.slice(1), (id) => saveText(mail, id))
  lists = 0
  const page = await mail.list({ limit: 10 })
  expect(idsOf(page)).toEqual(ids.slice(-10).toReversed())
  expect(lists).toBeLessThan(12)
  lists = 0
  expect(idsOf(await mail.list({ limit: 10, cursor: ids[2500] as string }))).toEqual(ids.slice(2490, 2500).toReversed())
  expect(lists).toBeLessThan(14)
})

/** How the messages of a minute come, in milliseconds after its begin, and what their newest page may cost. */
const COMINGS = [
  { coming: 'evenly', msOf: (index: number) => index * 10, maxLists: 20 },
  { coming: 'at its begin', msOf: (index: number) => Math.floor(index / 100), maxLists: 32 },
  { coming: 'at its end', msOf: (index: number) => 59_999 - Math.floor(index / 100), maxLists: 16 },
  { coming: 'at both ends', msOf: (index: number) => (index % 2 === 0 ? 0 : 59_000) + (index % 1000), maxLists: 20 },
  { coming: 'in one millisecond', msOf: () => 30_000, maxLists: 40 },
] as const

test.each(sample(COMINGS, 1))(
  'messages of a minute that came $coming are found, in few listings',
  async ({ msOf, maxLists }) => {
    const blobs = memory()
    const start = Date.parse('2026-11-21T05:42:00Z')
    const ids = Array.from({ length: 5000 }, (_, index) => idAt(start + msOf(index), index)).toSorted()
    await inParallel(ids, (id) => saveText(mailStore(blobs), id, ''))
    // A file of another program is in the way of nothing.
    await put(blobs, '2026/11/21/0542/0-note.txt')
    for (const limit of [100, 1000]) await expectCosts(blobs, ids, { limit, maxLists }, `a page of ${limit}`)
    const found: string[] = []
    for await (const { id } of mailStore(blobs).walk()) found.push(id)
    expect(found).toEqual(ids.toReversed())
    const page = await mailStore(blobs).list({ limit: 5, cursor: ids[2000] as string })
    expect(idsOf(page)).toEqual(ids.slice(1995, 2000).toReversed())
    const since: string[] = []
    for await (const { id } of mailStore(blobs).walk({ since: new Date(start + 30_000) })) since.push(id)
    expect(since).toEqual(ids.filter((id) => id >= idAt(start + 30_000, 0)).toReversed())
  },
)
