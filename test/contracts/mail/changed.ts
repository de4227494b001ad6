/** Messages are deleted or bounce, and a sweep removes unused blobs. */
import { type BlobStore, mailStore } from '@postern/storage'
import { idAt, saveText } from './messages.ts'
import type { Ground, MakeStore } from '../blobs/check.ts'
import { equal, expectCode, expectRangeError, hasKeys, inParallel, keysIn, put } from '../blobs/exchange.ts'
import {
  bound,
  expectError,
  FOLDER,
  idsOf,
  idsOfMinute,
  lists,
  type MailCheck,
  MINUTE,
  ofEach,
  open,
  type OpenedMail,
  saveAll,
} from './opened.ts'

const POWER_CUT = new Error('power cut')

export const changed: readonly MailCheck[] = [
  ofEach('delete removes one message, and all of it', async (open) => {
    const { mail, stored, namesOf } = await open()
    const [gone, stays = ''] = idsOfMinute(2)
    await saveAll(mail, [gone, stays])
    const held = await mail.load(gone)
    await mail.delete(gone)
    equal(await stored(), namesOf(stays), 'what is stored')
    await expectCode('not-found', () => mail.load(gone), 'load')
    await expectCode('not-found', () => mail.delete(gone), 'delete')
    await expectCode('not-found', () => held.bytes(), 'bytes of what was loaded before')
  }),
  {
    name: 'delete removes the envelope first',
    async run(make) {
      const { blobs, mail } = await open(make)
      const id = idAt(MINUTE)
      await saveText(mail, id)
      const stuck: BlobStore = {
        ...bound(blobs),
        delete: (key) => (key.endsWith('.eml') ? Promise.reject(POWER_CUT) : blobs.delete(key)),
      }
      await expectError(POWER_CUT, () => mailStore(stuck).delete(id), 'delete')
      await lists(mail, [], 'messages')
      await hasKeys(blobs, [`${FOLDER}${id}.eml`], 'keys')
    },
  },
  ofEach('bounce moves a message to the bounced ones, once', async (open) => {
    const { mail, stored, namesOf } = await open()
    const [bad, good = ''] = idsOfMinute(2)
    await saveAll(mail, [bad, good])
    const at = new Date('2026-11-22T00:00:00.000Z')
    const record = await mail.bounce(bad, { reason: '550 5.1.1 No such mailbox', at })
    equal(record.bounce, { reason: '550 5.1.1 No such mailbox', at: at.toISOString() }, 'what is known of it')
    await lists(mail, [good], 'messages')
    equal((await mail.list({ bounced: true })).records, [record], 'what bounced')
    const kept = await mail.load(bad)
    equal(kept.record, record, 'the record')
    await kept.verify()
    // A second bounce does not change it.
    equal(await mail.bounce(bad, { reason: 'again' }), record, 'bounced again')
    await expectCode('not-found', () => mail.bounce(idAt(MINUTE), { reason: 'x' }), 'bounce of none')
    await mail.delete(bad)
    equal(idsOf(await mail.list({ bounced: true })), [], 'what bounced, after the delete')
    equal(await stored(), namesOf(good), 'what is stored')
  }),
  {
    name: 'the next bounce finishes one that was interrupted',
    async run(make) {
      const { blobs, mail } = await open(make)
      const id = idAt(MINUTE)
      await saveText(mail, id)
      const stuck: BlobStore = { ...bound(blobs), delete: () => Promise.reject(POWER_CUT) }
      await expectError(POWER_CUT, () => mailStore(stuck).bounce(id, { reason: 'first' }), 'bounce')
      equal((await mail.bounce(id, { reason: 'second' })).bounce?.reason, 'first', 'the reason')
      await hasKeys(blobs, [`${FOLDER}${id}.eml`, `bounced/${FOLDER}${id}.json`], 'keys')
    },
  },
  { name: 'a sweep removes only bytes without an envelope, and only if they are old', run: sweepTakesOld },
  ofEach('a sweep beside saves and bounces removes nothing of theirs', sweepBeside),
]

async function sweepTakesOld(make: MakeStore): Promise<void> {
  const { blobs, mail } = await open(make)
  const [half, bounced = '', kept = ''] = idsOfMinute(3)
  await put(blobs, `${FOLDER}${half}.eml`)
  await saveAll(mail, [bounced, kept])
  await mail.bounce(bounced, { reason: 'x' })
  await put(blobs, `${FOLDER}${idAt('2020-01-01T00:00:00Z')}.eml`, 'not where this one belongs')
  await put(blobs, 'notes.txt', 'not ours')
  const before = await keysIn(blobs)
  equal(await mail.sweep(), { messages: 0, temporary: 0 }, 'swept while it is young')
  await hasKeys(blobs, before, 'keys while it is young')
  // A store may give times in whole seconds.
  await new Promise((resolve) => setTimeout(resolve, 1100))
  equal(await mail.sweep({ olderThanMs: 5 }), { messages: 1, temporary: 0 }, 'swept')
  await hasKeys(
    blobs,
    before.filter((key) => key !== `${FOLDER}${half}.eml`),
    'keys',
  )
  for (const olderThanMs of [-1, Number.NaN]) {
    await expectRangeError(() => mail.sweep({ olderThanMs }), `olderThanMs ${olderThanMs}`)
  }
}

async function sweepBeside(open: () => Promise<OpenedMail>, { isBrief = false }: Ground = {}): Promise<void> {
  const { mail } = await open()
  const ids = Array.from({ length: isBrief ? 20 : 200 }, (_, index) => idAt(Date.parse(MINUTE) + index * 3000, index))
  const stop = new AbortController()
  let sweeps = 0
  const sweeping = (async () => {
    for (; !stop.signal.aborted; sweeps++) {
      equal((await mail.sweep({ olderThanMs: 30_000 })).messages, 0, 'swept')
    }
  })()
  try {
    await inParallel(
      ids,
      async (id) => {
        await saveText(mail, id)
        if (id.endsWith('0')) await mail.bounce(id, { reason: 'x' })
      },
      10,
    )
  } finally {
    stop.abort()
    await sweeping
  }
  equal(sweeps > 0, true, 'something was swept meanwhile')
  for (const id of ids) await (await mail.load(id)).verify()
}
