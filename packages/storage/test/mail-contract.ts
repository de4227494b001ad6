/** What a MailStore does, whatever is below it. */
import {
  type BlobStore,
  type MailPage,
  type MailRecord,
  mailStore,
  type MailStore,
  StorageError,
} from '@postern/storage'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expectCode, inParallel, pattern, SLOW } from './blob-contract.ts'
import { get, keysIn, put } from './blobs.ts'
import { ABORTED, bytesOf, idAt, messageOf, saveText, SESSION, textOf, TRACE } from './mail.ts'

const HOSTILE_IDS: readonly string[] = [
  '',
  '..',
  '../../etc/passwd',
  '01KASJ3V5QCYF6Y3W9T2Z8N4R',
  '01KASJ3V5QCYF6Y3W9T2Z8N4RBX',
  '01kasj3v5qcyf6y3w9t2z8n4rb',
  '01KASJ3V5QCYF6Y3W9T2Z8N4RI',
  '01KASJ3V5QCYF6Y3W9T2Z8N4RU',
  '81KASJ3V5QCYF6Y3W9T2Z8N4RB',
  '7ZZZZZZZZZZZZZZZZZZZZZZZZZ',
  '01KASJ3V5Q/YF6Y3W9T2Z8N4RB',
  '../ASJ3V5QCYF6Y3W9T2Z8N4RB',
  '01KASJ3V5QCYF6Y3W9T2Z8N4R\n',
  '01KASJ3V5QCYF6Y3W9T2Z8N4RB\n',
  '01KASJ3V5QCYF6Y3W9T2Z8N4R\0',
]

/** Where a message of 2026-11-21 05:42 UTC lies. */
const MINUTE = '2026-11-21T05:42:07.123Z'
const FOLDER = '2026/11/21/0542/'

export function mailContract(name: string, make: () => BlobStore | Promise<BlobStore>): void {
  async function open(): Promise<{ blobs: BlobStore; mail: MailStore }> {
    const blobs = await make()
    return { blobs, mail: mailStore(blobs) }
  }

  describe(`${name}: mail`, () => {
    test.each([false, true])(
      'a message comes back, byte for byte, with its record (chunks later: %s)',
      async (later) => {
        const { blobs, mail } = await open()
        const id = idAt(MINUTE)
        const parts = [bytesOf('Subject: x\r\n\r\n'), pattern(70_000), pattern(3), pattern(200_000)]
        const saved = await mail.save(messageOf(id, parts, later), SESSION)
        const expected = Buffer.concat([TRACE, ...parts])
        expect(await keysIn(blobs)).toEqual([`${FOLDER}${id}.eml`, `${FOLDER}${id}.json`])
        expect(Buffer.compare(await get(blobs, `${FOLDER}${id}.eml`), expected)).toBe(0)
        const stored = await mail.load(id)
        expect(stored.record).toEqual(saved)
        expect(saved).toEqual({
          schemaVersion: 1,
          id,
          receivedAt: MINUTE,
          session: SESSION,
          reversePath: {
            address: 'ann@example.org',
            localPart: 'ann',
            domain: 'example.org',
            parameters: { SIZE: '12' },
          },
          forwardPaths: [
            {
              address: '"b c"@[192.0.2.1]',
              localPart: 'b c',
              domain: '[192.0.2.1]',
              literal: { family: 'ipv4', address: '192.0.2.1' },
              parameters: { NOTIFY: 'FAILURE' },
              notify: ['FAILURE'],
              originalRecipient: { addressType: 'rfc822', address: 'b@example.com' },
            },
          ],
          body: '8BITMIME',
          smtpUtf8: false,
          ret: 'HDRS',
          envelopeId: 'QQ314159',
          size: expected.length,
          sha256: await sha256(expected),
          verdicts: {},
        })
        expect(Buffer.compare(await stored.bytes(), expected)).toBe(0)
        await stored.verify()
        for (let twice = 0; twice < 2; twice++) {
          const chunks: Uint8Array[] = []
          for await (const chunk of stored.body) chunks.push(chunk)
          expect(Buffer.compare(Buffer.concat(chunks), expected)).toBe(0)
        }
      },
    )

    test('an empty message, and a session that said nothing of itself', async () => {
      const { mail } = await open()
      const id = idAt(MINUTE)
      const bare = { ...SESSION, tls: undefined, hello: undefined, user: undefined }
      await mail.save(messageOf(id, []), bare)
      const stored = await mail.load(id)
      expect(textOf(await stored.bytes())).toBe(textOf(TRACE))
      expect(Object.keys(stored.record.session)).toEqual(['id', 'remote', 'local', 'transmissionType'])
    })

    test.each([0, 1, 5])('a message that breaks off after %i chunks leaves nothing', async (count) => {
      const { blobs, mail } = await open()
      const chunks = [...Array.from({ length: count }, () => pattern(40_000)), ABORTED]
      await expect(mail.save(messageOf(idAt(MINUTE), chunks), SESSION)).rejects.toBe(ABORTED)
      expect(await keysIn(blobs)).toEqual([])
      expect((await mail.list()).records).toEqual([])
    })

    test('an envelope that can not be written leaves no bytes either; a second message of one id, the first one whole', async () => {
      const { blobs, mail } = await open()
      const failing: BlobStore = failingWrites(blobs, '.json')
      await expectCode('unavailable', () => saveText(mailStore(failing), idAt(MINUTE)))
      expect(await keysIn(blobs)).toEqual([])
      const id = idAt(MINUTE)
      await saveText(mail, id, 'first')
      await expectCode('exists', () => saveText(mail, id, 'second'))
      expect(textOf(await (await mail.load(id)).bytes())).toBe(`${textOf(TRACE)}first`)
    })

    test('half a message is not to be seen', async () => {
      const { blobs, mail } = await open()
      const [half, whole] = [idAt(MINUTE, 1), idAt(MINUTE, 2)]
      await put(blobs, `${FOLDER}${half}.eml`, 'bytes and no envelope')
      await saveText(mail, whole)
      expect(idsOf(await mail.list())).toEqual([whole])
      await expectCode('not-found', () => mail.load(half))
      await expectCode('not-found', () => mail.delete(half))
      await expectCode('not-found', () => mail.bounce(half, { reason: 'x' }))
      expect(await keysIn(blobs)).toHaveLength(3)
    })

    test('newest first, across minutes, hours, days, months and years, in pages of every size', SLOW, async () => {
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
      for (const limit of [1, 2, 3, 5, 27, 28, 29, 1000]) {
        const pages = await allPages(mail, limit)
        expect(pages.flatMap(idsOf)).toEqual(ids.toReversed())
        expect(pages).toHaveLength(Math.ceil(ids.length / limit))
      }
      for (const limit of [0, 1001, 1.5]) await expect(mail.list({ limit })).rejects.toThrow(RangeError)
    })

    test('pages that do not fit one listing: a busy minute between quiet years', SLOW, async () => {
      const { mail } = await open()
      const ids = [
        idAt('2024-02-29T12:00:00Z', 1),
        ...Array.from({ length: 1100 }, (_, index) => idAt(Date.parse(MINUTE) + Math.floor(index / 40), index)),
        idAt('2026-11-21T05:43:00Z', 1),
        idAt('2027-01-01T00:00:00Z', 1),
      ]
      await inParallel(ids, (id) => saveText(mail, id, ''))
      expect(idsOf(await mail.list({ limit: 1000 }))).toEqual(ids.toReversed().slice(0, 1000))
      expect((await allPages(mail, 300)).flatMap(idsOf)).toEqual(ids.toReversed())
    })

    test('newest first, for any times and any page size', SLOW, async () => {
      const time = fc.oneof(
        fc.integer({ min: 0, max: Date.UTC(9999, 11) }),
        fc.integer({ min: Date.parse(MINUTE), max: Date.parse(MINUTE) + 200_000 }),
      )
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(time, { maxLength: 15 }),
          fc.integer({ min: 1, max: 5 }),
          async (times, limit) => {
            const { mail } = await open()
            const ids = times.map((each) => idAt(each))
            await inParallel(ids, (id) => saveText(mail, id, ''))
            expect((await allPages(mail, limit)).flatMap(idsOf)).toEqual(ids.toSorted().toReversed())
          },
        ),
        { numRuns: 25 },
      )
    })

    test('a cursor stays good while messages come and go', async () => {
      const { mail } = await open()
      const ids = Array.from({ length: 9 }, (_, index) => idAt(Date.parse(MINUTE) + index * 20_000, index))
      for (const id of ids) await saveText(mail, id)
      const first = await mail.list({ limit: 3 })
      expect(idsOf(first)).toEqual([ids[8], ids[7], ids[6]])
      await saveText(mail, idAt('2026-12-01T00:00:00Z'))
      // The one that the cursor names, and the next.
      await mail.delete(ids[6] as string)
      await mail.delete(ids[5] as string)
      const second = await mail.list({ limit: 3, cursor: first.cursor as string })
      expect(idsOf(second)).toEqual([ids[4], ids[3], ids[2]])
      const third = await mail.list({ limit: 3, cursor: second.cursor as string })
      expect(idsOf(third)).toEqual([ids[1], ids[0]])
      expect(third.cursor).toBeUndefined()
    })

    test.each(HOSTILE_IDS)('hostile id %j', async (id) => {
      const { blobs, mail } = await open()
      await expectCode('invalid-id', () => mail.load(id))
      await expectCode('invalid-id', () => mail.delete(id))
      await expectCode('invalid-id', () => mail.bounce(id, { reason: 'x' }))
      await expectCode('invalid-id', () => mail.list({ cursor: id }))
      await expectCode('invalid-id', () => saveText(mail, id))
      expect(await keysIn(blobs)).toEqual([])
    })

    test('delete', async () => {
      const { blobs, mail } = await open()
      const [gone, stays] = [idAt(MINUTE), idAt(MINUTE)]
      await saveText(mail, gone)
      await saveText(mail, stays)
      const held = await mail.load(gone)
      await mail.delete(gone)
      expect(await keysIn(blobs)).toEqual([`${FOLDER}${stays}.eml`, `${FOLDER}${stays}.json`])
      await expectCode('not-found', () => mail.load(gone))
      await expectCode('not-found', () => mail.delete(gone))
      await expectCode('not-found', () => held.bytes())
    })

    test('delete takes the envelope first', async () => {
      const { blobs, mail } = await open()
      const id = idAt(MINUTE)
      await saveText(mail, id)
      const stuck: BlobStore = {
        ...bound(blobs),
        delete: (key) => (key.endsWith('.eml') ? Promise.reject(new Error('power cut')) : blobs.delete(key)),
      }
      await expect(mailStore(stuck).delete(id)).rejects.toThrow('power cut')
      expect(idsOf(await mail.list())).toEqual([])
      expect(await keysIn(blobs)).toEqual([`${FOLDER}${id}.eml`])
    })

    test('bounce', async () => {
      const { blobs, mail } = await open()
      const [bad, good] = [idAt(MINUTE, 1), idAt(MINUTE, 2)]
      await saveText(mail, bad)
      await saveText(mail, good)
      const at = new Date('2026-11-22T00:00:00.000Z')
      const record = await mail.bounce(bad, { reason: '550 5.1.1 No such mailbox', at })
      expect(record.bounce).toEqual({ reason: '550 5.1.1 No such mailbox', at: at.toISOString() })
      expect(idsOf(await mail.list())).toEqual([good])
      expect((await mail.list({ bounced: true })).records).toEqual([record])
      expect((await mail.load(bad)).record).toEqual(record)
      await (await mail.load(bad)).verify()
      // Once bounced, it stays as it is.
      expect(await mail.bounce(bad, { reason: 'again' })).toEqual(record)
      await expectCode('not-found', () => mail.bounce(idAt(MINUTE), { reason: 'x' }))
      await mail.delete(bad)
      expect(idsOf(await mail.list({ bounced: true }))).toEqual([])
      expect(await keysIn(blobs)).toEqual([`${FOLDER}${good}.eml`, `${FOLDER}${good}.json`])
    })

    test('a bounce that stopped half-way is finished by the next', async () => {
      const { blobs, mail } = await open()
      const id = idAt(MINUTE)
      await saveText(mail, id)
      const stuck: BlobStore = { ...bound(blobs), delete: () => Promise.reject(new Error('power cut')) }
      await expect(mailStore(stuck).bounce(id, { reason: 'first' })).rejects.toThrow('power cut')
      expect((await mail.bounce(id, { reason: 'second' })).bounce?.reason).toBe('first')
      expect(await keysIn(blobs)).toEqual([`${FOLDER}${id}.eml`, `bounced/${FOLDER}${id}.json`])
    })

    test('sweep removes bytes without an envelope once they are old, and nothing else', async () => {
      const { blobs, mail } = await open()
      const [half, bounced, kept] = [idAt(MINUTE, 1), idAt(MINUTE, 2), idAt(MINUTE, 3)]
      await put(blobs, `${FOLDER}${half}.eml`)
      await saveText(mail, bounced)
      await mail.bounce(bounced, { reason: 'x' })
      await saveText(mail, kept)
      await put(blobs, `${FOLDER}${idAt('2020-01-01T00:00:00Z')}.eml`, 'not where this one belongs')
      await put(blobs, 'notes.txt', 'not ours')
      const before = await keysIn(blobs)
      expect(await mail.sweep()).toEqual({ messages: 0, temporary: 0 })
      expect(await keysIn(blobs)).toEqual(before)
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(await mail.sweep({ olderThanMs: 5 })).toEqual({ messages: 1, temporary: 0 })
      expect(await keysIn(blobs)).toEqual(before.filter((key) => key !== `${FOLDER}${half}.eml`))
      for (const olderThanMs of [-1, Number.NaN]) await expect(mail.sweep({ olderThanMs })).rejects.toThrow(RangeError)
    })

    test('sweep beside saves and bounces takes nothing from them', SLOW, async () => {
      const { mail } = await open()
      const ids = Array.from({ length: 200 }, (_, index) => idAt(Date.parse(MINUTE) + index * 3000, index))
      const stop = new AbortController()
      const sweeping = (async () => {
        while (!stop.signal.aborted) expect((await mail.sweep({ olderThanMs: 2000 })).messages).toBe(0)
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
      }
      await sweeping
      for (const id of ids) await (await mail.load(id)).verify()
    })

    test('changed bytes are corrupt, whatever the change', async () => {
      const { blobs, mail } = await open()
      for (const change of ['shorter', 'longer', 'one bit', 'none at all']) {
        const id = idAt(MINUTE)
        await saveText(mail, id, textOf(pattern(30_000).map((byte) => byte & 0x7f)))
        const stored = await mail.load(id)
        const bytes = Buffer.from(await stored.bytes())
        const key = `${FOLDER}${id}.eml`
        await blobs.delete(key)
        if (change === 'shorter') await put(blobs, key, bytes.subarray(0, -1))
        if (change === 'longer') await put(blobs, key, Buffer.concat([bytes, bytesOf('x')]))
        if (change === 'one bit') await put(blobs, key, bytes.fill((bytes[20_000] as number) ^ 1, 20_000, 20_001))
        await expectCode('corrupt', () => stored.verify())
        await expectCode('corrupt', () => stored.bytes())
        // Its record is good all the same, and it can be removed.
        expect(idsOf(await mail.list())).toEqual([id])
        await mail.delete(id)
      }
    })

    test('a corrupt envelope says what is wrong, is listed as such, and hides no other', async () => {
      const { blobs, mail } = await open()
      const ids = [idAt(MINUTE, 1), idAt(MINUTE, 2), idAt(MINUTE, 3)]
      for (const id of ids) await saveText(mail, id)
      const id = ids[1] as string
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
        ['it is that of', { ...good, id: ids[0] }],
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
        ['record.size', { ...good, size: -1 }],
        ['record.sha256', { ...good, sha256: 'abc' }],
        ['record.verdicts', { ...good, verdicts: null }],
        ['record.bounce.at', { ...good, bounce: { reason: 'x' } }],
      ]
      for (const [message, change] of changes) {
        await blobs.delete(key)
        await put(
          blobs,
          key,
          typeof change === 'string' || change instanceof Uint8Array ? change : JSON.stringify(change),
        )
        await expect(mail.load(id)).rejects.toMatchObject({
          code: 'corrupt',
          message: expect.stringContaining(message) as string,
        })
        const page = await mail.list()
        expect(idsOf(page)).toEqual([ids[2], ids[0]])
        expect(page.corrupt).toEqual([id])
      }
      await blobs.delete(key)
      const later = { ...good, verdicts: { spf: 'pass' }, addedLater: true }
      await put(blobs, key, JSON.stringify(later))
      expect((await mail.load(id)).record).toEqual(later)
      expect(await mail.bounce(id, { reason: 'x' })).toMatchObject(later)
    })
  })
}

export function idsOf(page: MailPage): string[] {
  return page.records.map((record: MailRecord) => record.id)
}

export async function allPages(mail: MailStore, limit: number, bounced = false): Promise<MailPage[]> {
  const pages: MailPage[] = []
  let cursor: string | undefined
  do {
    const page = await mail.list({ limit, bounced, ...(cursor !== undefined && { cursor }) })
    pages.push(page)
    cursor = page.cursor
  } while (cursor !== undefined)
  return pages
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex')
}

/** A store's methods, free to be replaced one by one. */
export function bound(blobs: BlobStore): BlobStore {
  return {
    write: (key, options) => blobs.write(key, options),
    read: (key) => blobs.read(key),
    head: (key) => blobs.head(key),
    list: (options) => blobs.list(options),
    delete: (key) => blobs.delete(key),
  }
}

function failingWrites(blobs: BlobStore, extension: string): BlobStore {
  return {
    ...bound(blobs),
    write(key, options) {
      const writer = blobs.write(key, options)
      if (!key.endsWith(extension)) return writer
      return {
        write: (bytes) => writer.write(bytes),
        abort: () => writer.abort(),
        commit: () => Promise.reject(new StorageError('unavailable', 'the line is cut')),
      }
    },
  }
}
