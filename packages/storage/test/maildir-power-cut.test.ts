/**
 * Cuts the power at every moment of a delivery into Maildirs. A message that was answered is in every mailbox, and each message in a
 * mailbox has its envelope.
 */
import { constants } from 'node:fs'
import { join } from 'node:path'
import type { MailStore } from '@postern/storage'
import { expect, test } from 'vitest'
import { Random } from '../../../test/kit/random.ts'
import { chance as chanceOf } from '../../../test/kit/sample.ts'
import { maildirAt } from '../src/maildir/index.ts'
import { systemError } from './disks.ts'
import { idAt } from '../../../test/contracts/mail/messages.ts'
import { PowerCutDisk, ROOT } from './power-cut-disk.ts'
import { choices, cutAtCalls, killAtCalls, type Subject } from './power-cuts.ts'
import { Book, expectFates, finish, listWhole, SCENARIOS } from './scenarios.ts'

const MAILBOXES = ['example.com/bob', 'example.org/carl']

const MAILDIR: Required<Pick<Subject, 'format' | 'open'>> = {
  async format(disk) {
    await disk.mkdir(join(ROOT, '.records'))
    const root = await disk.open(ROOT, constants.O_RDONLY)
    await disk.fsync(root)
    await disk.close(root)
  },
  open: (disk) => toTwo(maildirAt(disk, ROOT, { hostname: 'mx1', create: 'any' })),
}

/** The scenarios that differ from the fs layout. A sweep beside a delivery cannot be tried: on this disk all files look old. */
const TRIED = SCENARIOS.filter(({ name }) => !/meanwhile|at once|of a byte|another$|what has bounced/.test(name))
const CUTS = 4

/** Each message is for two recipients. */
function toTwo(mail: MailStore): MailStore {
  const forwardPaths = [
    { address: 'bob@example.com', localPart: 'bob', domain: 'example.com', parameters: new Map<string, string>() },
    { address: 'carl@example.org', localPart: 'carl', domain: 'example.org', parameters: new Map<string, string>() },
  ]
  return {
    save: (message, session) => mail.save({ ...message, envelope: { ...message.envelope, forwardPaths } }, session),
    load: (id) => mail.load(id),
    list: (options) => mail.list(options),
    delete: (id) => mail.delete(id),
    bounce: (id, bounce) => mail.bounce(id, bounce),
    sweep: (options) => mail.sweep(options),
    expire: (retention, options) => mail.expire(retention, options),
  }
}

/** Returns the messages of each mailbox. */
function delivered(disk: PowerCutDisk): Set<string>[] {
  return MAILBOXES.map((mailbox) => {
    const files = disk.files().filter((file) => file.startsWith(`${mailbox}/new/`))
    return new Set(files.map((file) => /\.([0-9A-Z]{26})\.mx1,S=/.exec(file)?.[1] ?? file))
  })
}

async function expectDelivered(disk: PowerCutDisk, { mail, fates }: Book): Promise<void> {
  await expectFates(mail, fates)
  const { kept, bounced } = await listWhole(mail)
  for (const mailbox of delivered(disk)) {
    for (const id of mailbox) expect(kept.has(id) || bounced.has(id), `${id} has an envelope`).toBe(true)
    for (const [id, fate] of fates) {
      if (fate === 'kept' || fate === 'bounced') expect(mailbox.has(id), `${id} ${fate}`).toBe(true)
      if (fate === 'deleted') expect(mailbox.has(id), `${id} ${fate}`).toBe(false)
    }
  }
}

async function expectAfter(disk: PowerCutDisk, { fates }: Book): Promise<void> {
  const book = new Book(disk, fates, MAILDIR.open)
  await expectDelivered(disk, book)
  await book.mail.sweep({ olderThanMs: 0 })
  await expectDelivered(disk, book)
  // Only messages and their envelopes are left.
  expect(disk.files().filter((file) => /\/\.?tmp\//.test(`/${file}`))).toEqual([])
  const { kept, bounced } = await listWhole(book.mail)
  const links = delivered(disk).reduce((sum, mailbox) => sum + mailbox.size, 0)
  expect(disk.files()).toHaveLength(kept.size + bounced.size + links)
  await finish(book)
  await expectDelivered(disk, book)
}

test.each(TRIED)('$name: each answered message is in every mailbox, whenever the power is cut', async (scenario) => {
  const random = chanceOf(6)
  await cutAtCalls(scenario, { ...MAILDIR, cuts: () => choices(random, CUTS), expectAfter })
})

test.each(TRIED.filter(({ name }) => name.includes('a delete')))(
  '$name: each answered message survives if the store is killed, repeats the work, and then the power is cut',
  async (scenario) => {
    const random = chanceOf(7)
    await killAtCalls(scenario, { ...MAILDIR, cuts: () => choices(random, CUTS), expectAfter })
  },
)

test('a failed delivery is in no mailbox after a power cut, because its envelope is gone', async () => {
  const disk = new PowerCutDisk()
  await MAILDIR.format(disk)
  let links = 0
  // The directory of the envelope, of the first mailbox, and of the second.
  disk.fault = {
    before: (call) => (call === 'link' && ++links === 3 ? systemError('ENOSPC', 'link') : undefined),
  }
  const book = new Book(disk, new Map(), MAILDIR.open)
  await expect(book.save(idAt('2026-11-21T05:42:00Z', 0), 10)).rejects.toMatchObject({ code: 'no-space' })
  for (const [choose, chance] of choices(new Random(8))) {
    expect(delivered(disk.cut(choose, chance))).toEqual([new Set(), new Set()])
  }
})
