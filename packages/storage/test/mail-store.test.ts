import { mailStore } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import { expect, test } from 'vitest'
import { inParallel, storeContract } from './blob-contract.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { machineBackends } from './contract/machine.ts'
import { idAt, saveText } from '../../../test/contracts/mail/messages.ts'
import { bound, idsOf } from '../../../test/contracts/mail/opened.ts'

const directory = temporaryDirectory()

for (const backend of machineBackends(directory)) storeContract('mail', backend)

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
