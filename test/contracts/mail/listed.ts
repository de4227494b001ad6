/** Messages are listed newest first, in pages. */
import { type BlobStore, mailStore, type MailStore, StorageError, type WalkMailOptions } from '@postern/storage'
import fc from 'fast-check'
import { idAt, saveText, SESSION, textOf } from './messages.ts'
import type { Ground, MakeStore } from '../blobs/check.ts'
import { ensure, equal, errorOf, expectCode, expectRangeError, get, inParallel, put } from '../blobs/exchange.ts'
import {
  allPages,
  bound,
  essential,
  FOLDER,
  idsOf,
  idsOfMinute,
  type MailCheck,
  MINUTE,
  ofEach,
  open,
  type OpenedMail,
  saveAll,
} from './opened.ts'

type Open = () => Promise<OpenedMail>

export const listed: readonly MailCheck[] = [
  ofEach(
    'a list has the newest first, across minutes, hours, days, months and years, in pages of any size',
    acrossTimes,
  ),
  { name: 'a list has the newest first if one minute is busy and the years around it are not', run: aBusyMinute },
  ofEach('a list has the newest first for any times and any page size', forAnyTimes),
  essential(
    ofEach('a cursor stays valid while messages come and go', async (open) => {
      const { mail } = await open()
      const ids = Array.from({ length: 9 }, (_, index) => idAt(Date.parse(MINUTE) + index * 20_000, index))
      await saveAll(mail, ids)
      const first = await mail.list({ limit: 3 })
      equal(idsOf(first), [ids[8], ids[7], ids[6]], 'the first page')
      await saveText(mail, idAt('2026-12-01T00:00:00Z'))
      // Deletes the message that the cursor names, and the next one.
      await mail.delete(ids[6] as string)
      await mail.delete(ids[5] as string)
      const second = await mail.list({ limit: 3, cursor: first.cursor as string })
      equal(idsOf(second), [ids[4], ids[3], ids[2]], 'the second page')
      const third = await mail.list({ limit: 3, cursor: second.cursor as string })
      equal(idsOf(third), [ids[1], ids[0]], 'the third page')
      equal(third.cursor, undefined, 'the last cursor')
    }),
  ),
  ofEach('a walk has all messages, in either order, between two bounds', walks),
  { name: 'a page costs few listings, and one read for each message', run: costsFewCalls },
  { name: 'a corrupt envelope says what is wrong, is listed as such, and hides no other', run: hidesNoOther },
]

async function acrossTimes(open: Open, { isBrief = false }: Ground = {}): Promise<void> {
  const { mail } = await open()
  const times = [
    '1999-12-31T23:59:59.999Z',
    '2000-01-01T00:00:00.000Z',
    '2025-12-31T23:59:59.999Z',
    '2026-01-01T00:00:00.000Z',
    '2026-01-31T23:59:00.000Z',
    '2026-02-01T00:00:00.000Z',
    '2026-11-20T23:59:59.999Z',
    '2026-11-21T00:00:00.000Z',
    '2026-11-21T05:41:59.999Z',
    '2026-11-21T05:42:00.000Z',
    '2026-11-21T05:42:00.001Z',
    '2026-11-21T05:59:59.999Z',
    '2026-11-21T06:00:00.000Z',
    '9999-12-31T23:59:59.999Z',
  ]
  const ids = times.flatMap((time) => [idAt(time, 1), idAt(time, 2)])
  await inParallel(ids.toReversed(), (id) => saveText(mail, id))
  for (const limit of isBrief ? [5, 28] : [1, 2, 3, 5, 27, 28, 29, 1000]) {
    const pages = await allPages(mail, limit)
    equal(pages.flatMap(idsOf), ids.toReversed(), `messages, ${limit} a page`)
    equal(pages.length, Math.ceil(ids.length / limit), `pages of ${limit}`)
  }
  for (const limit of [0, 1001, 1.5]) await expectRangeError(() => mail.list({ limit }), `limit ${limit}`)
}

async function aBusyMinute(make: MakeStore, { isBrief = false }: Ground = {}): Promise<void> {
  const { mail } = await open(make)
  // In a full run the messages do not fit into one listing of keys.
  const [count, first, limit] = isBrief ? [40, 30, 15] : [1100, 1000, 300]
  const ids = [
    idAt('2024-02-29T12:00:00Z', 1),
    ...Array.from({ length: count }, (_, index) => idAt(Date.parse(MINUTE) + Math.floor(index / 40), index)),
    idAt('2026-11-21T05:43:00Z', 1),
    idAt('2027-01-01T00:00:00Z', 1),
  ]
  await inParallel(ids, (id) => saveText(mail, id, ''))
  equal(idsOf(await mail.list({ limit: first })), ids.toReversed().slice(0, first), `a page of ${first}`)
  equal((await allPages(mail, limit)).flatMap(idsOf), ids.toReversed(), `pages of ${limit}`)
}

async function forAnyTimes(open: Open, { isBrief = false }: Ground = {}): Promise<void> {
  const time = fc.oneof(
    fc.integer({ min: 0, max: Date.UTC(9999, 11) }),
    fc.integer({ min: Date.parse(MINUTE), max: Date.parse(MINUTE) + 200_000 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(time, { maxLength: 15 }), fc.integer({ min: 1, max: 5 }), async (times, limit) => {
      const { mail } = await open()
      const ids = times.map((each) => idAt(each))
      await inParallel(ids, (id) => saveText(mail, id, ''))
      equal((await allPages(mail, limit)).flatMap(idsOf), ids.toSorted().toReversed(), 'messages')
    }),
    { numRuns: isBrief ? 4 : 25 },
  )
}

async function walks(open: Open): Promise<void> {
  const { mail } = await open()
  const start = Date.parse(MINUTE)
  const ids = Array.from({ length: 12 }, (_, index) => idAt(start + index * 25_000, index))
  const bounced = [ids[3], ids[7]] as string[]
  await saveAll(mail, ids)
  for (const id of bounced) await mail.bounce(id, { reason: 'x' })
  const kept = ids.filter((id) => !bounced.includes(id))
  equal(await walked(mail), kept.toReversed(), 'newest first')
  equal(await walked(mail, { order: 'oldest-first' }), kept, 'oldest first')
  equal(await walked(mail, { bounced: true }), bounced.toReversed(), 'bounced, newest first')
  equal(await walked(mail, { bounced: true, order: 'oldest-first' }), bounced, 'bounced, oldest first')
  const since = new Date(start + 4 * 25_000)
  const between = kept.filter((id) => id >= (ids[4] as string) && id < (ids[9] as string))
  const asked: string[] = []
  for (const heldBytes of [0, 1024]) {
    const options = { since, before: ids[9] as string, heldBytes }
    equal(await walked(mail, options), between.toReversed(), 'newest first, between bounds')
    const isWanted = (id: string): boolean => {
      asked.push(id)
      return id !== ids[5]
    }
    equal(
      await walked(mail, { ...options, isWanted, order: 'oldest-first' }),
      between.filter((id) => id !== ids[5]),
      'oldest first, between bounds, without one',
    )
  }
  equal(asked, [...between, ...between], 'the ids that the caller was asked about')
  equal(await walked(mail, { since: new Date(start + 3_600_000) }), [], 'since a time after all')
  await expectCode('invalid-id', () => walked(mail, { before: 'x' }))
}

/** Returns the ids of a walk. Checks that each message is as it is if it is loaded. */
async function walked(mail: MailStore, options: WalkMailOptions = {}): Promise<string[]> {
  const ids: string[] = []
  for await (const found of mail.walk?.(options) ?? []) {
    const loaded = await mail.load(found.id)
    equal(found.mail?.record, loaded.record, 'the record')
    await found.mail?.verify()
    equal([...((await found.mail?.bytes()) ?? [])], [...(await loaded.bytes())], 'the bytes')
    ids.push(found.id)
  }
  return ids
}

async function costsFewCalls(make: MakeStore, { isBrief = false }: Ground = {}): Promise<void> {
  const { mail, blobs } = await open(make)
  const [count, limit] = isBrief ? [30, 25] : [120, 100]
  const ids = idsOfMinute(count)
  await inParallel(ids, (id) => saveText(mail, id, ''))
  await expectCosts(blobs, ids, { limit, maxLists: 2 }, `a page of ${limit} of ${count} messages`)
}

/** How many calls a page of messages may cost. */
export interface Costs {
  readonly limit: number
  /** For a store that only lists in ascending order. Another one has one walk. */
  readonly maxLists: number
}

/** Checks what the newest page costs, if all these messages are stored. */
export async function expectCosts(
  blobs: BlobStore,
  ids: readonly string[],
  { limit, maxLists }: Costs,
  what: string,
): Promise<void> {
  const calls = { list: 0, read: 0, walk: 0 }
  const { walk } = blobs
  const counted: BlobStore = {
    ...bound(blobs),
    list: (options) => {
      calls.list++
      return blobs.list(options)
    },
    read: (key) => {
      calls.read++
      return blobs.read(key)
    },
    ...(walk !== undefined && {
      walk: (options) => {
        calls.walk++
        return walk.call(blobs, options)
      },
    }),
  }
  const page = await mailStore(counted).list({ limit })
  equal(idsOf(page), ids.toSorted().slice(-limit).toReversed(), what)
  equal(calls.read, Math.min(ids.length, limit), `reads of ${what}`)
  equal(calls.walk, walk === undefined ? 0 : 1, `walks of ${what}`)
  const allowed = walk === undefined ? maxLists : 0
  ensure(calls.list <= allowed, `${what}: expected at most ${allowed} listings, got ${calls.list}`)
}

async function hidesNoOther(make: MakeStore): Promise<void> {
  const { blobs, mail } = await open(make)
  const [first, id = '', last] = idsOfMinute(3)
  await saveAll(mail, [first, id, last as string])
  const key = `${FOLDER}${id}.json`
  const good = JSON.parse(textOf(await get(blobs, key))) as Record<string, unknown>
  const changes: [string, string | Uint8Array | Record<string, unknown>][] = [
    ['not JSON', ''],
    ['not JSON', '{"schemaVersion": 1, "id'],
    ['not JSON', new Uint8Array([0x22, 0xff, 0x22])],
    ['record is not an object', 'null'],
    ['record is not an object', '[]'],
    ['record.schemaVersion', { ...good, schemaVersion: 2 }],
    ['record.id is not an id', { ...good, id: '../../x' }],
    ['it belongs to', { ...good, id: first }],
    ['record.receivedAt', { ...good, receivedAt: 'yesterday' }],
    ['record.session is not an object', { ...good, session: undefined }],
    ['record.session.remote.port', { ...good, session: { ...SESSION, remote: { ...SESSION.remote, port: '25' } } }],
    ['record.session.transmissionType', { ...good, session: { ...SESSION, transmissionType: 'SMTPS' } }],
    ['record.forwardPaths is not a list', { ...good, forwardPaths: {} }],
    ['record.forwardPaths[1] is not an object', { ...good, forwardPaths: [...(good['forwardPaths'] as []), 7] }],
    [
      'record.reversePath.parameters',
      { ...good, reversePath: { ...(good['reversePath'] as object), parameters: { A: 1 } } },
    ],
    [
      'record.reversePath.malformedParameters',
      { ...good, reversePath: { ...(good['reversePath'] as object), malformedParameters: 'AUTH' } },
    ],
    ['record.requireTls', { ...good, requireTls: false }],
    ['record.priority is not a priority', { ...good, priority: 10 }],
    ['record.deliverBy.deadline', { ...good, deliverBy: { deadline: 60, mode: 'return', trace: false } }],
    ['record.deliverBy.mode', { ...good, deliverBy: { deadline: good['receivedAt'], mode: 'R', trace: false } }],
    ['record.holdUntil', { ...good, holdUntil: '2026-11-21' }],
    ['record.size', { ...good, size: -1 }],
    ['record.sha256', { ...good, sha256: 'abc' }],
    ['record.verdicts', { ...good, verdicts: null }],
    ['record.bounce.at', { ...good, bounce: { reason: 'x' } }],
  ]
  for (const [message, change] of changes) {
    await blobs.delete(key)
    await put(blobs, key, typeof change === 'string' || change instanceof Uint8Array ? change : JSON.stringify(change))
    const error = await errorOf(() => mail.load(id), `expected \`corrupt\`: ${message}, got no error`)
    ensure(
      error instanceof StorageError && error.code === 'corrupt' && error.message.includes(message),
      `expected \`corrupt\`: ${message}, got ${String(error)}`,
    )
    const page = await mail.list()
    equal(idsOf(page), [last, first], `messages, where ${message}`)
    equal(page.corrupt, [id], `what is corrupt, where ${message}`)
  }
  await blobs.delete(key)
  const later = { ...good, verdicts: { spf: 'pass' }, addedLater: true }
  await put(blobs, key, JSON.stringify(later))
  equal((await mail.load(id)).record, later, 'a record with fields from a later version')
  const { bounce, ...rest } = await mail.bounce(id, { reason: 'x' })
  equal(rest, later, 'the same, bounced')
  equal(bounce?.reason, 'x', 'the reason')
}
