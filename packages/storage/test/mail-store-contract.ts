/** What a MailStore does that is not made of blobs alone: contract/mail.ts says it of those that are. */
import type { MailRecord, MailStore } from '@postern/storage'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expectCode, inParallel, pattern, SLOW } from './blob-contract.ts'
import { allPages, idsOf, MINUTE } from './contract/mailing.ts'
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

/** A store that is empty, and how to look at it from outside. */
export interface Opened {
  readonly mail: MailStore
  /** Names of all that is stored, sorted. */
  stored(): Promise<string[]>
  /** The names of what is stored of one message, sorted. */
  of(id: string): string[]
}

export interface Expected {
  /** What stands above the bytes of a message. Default: its trace header. */
  readonly top?: Uint8Array
  /** What the store adds to a record. */
  readonly added?: (saved: MailRecord) => Partial<MailRecord>
}

export function mailStoreContract(name: string, open: () => Promise<Opened>, expectedOf: Expected = {}): void {
  const { top = TRACE, added = () => ({}) } = expectedOf
  describe(`${name}: messages`, () => {
    test.each([false, true])(
      'a message comes back, byte for byte, with its record (chunks later: %s)',
      async (later) => {
        const { mail, stored, of } = await open()
        const id = idAt(MINUTE)
        const parts = [bytesOf('Subject: x\r\n\r\n'), pattern(70_000), pattern(3), pattern(200_000)]
        const saved = await mail.save(messageOf(id, parts, later), SESSION)
        const expected = Buffer.concat([top, ...parts])
        expect(await stored()).toEqual(of(id))
        const kept = await mail.load(id)
        expect(kept.record).toEqual(saved)
        expect(saved).toEqual({
          schemaVersion: 1,
          id,
          receivedAt: MINUTE,
          session: SESSION,
          reversePath: {
            address: 'ann@example.org',
            localPart: 'ann',
            domain: 'example.org',
            parameters: { SIZE: '12', AUTH: 'ann' },
            malformedParameters: ['AUTH'],
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
          ...added(saved),
        })
        expect(Buffer.compare(await kept.bytes(), expected)).toBe(0)
        await kept.verify()
        for (let twice = 0; twice < 2; twice++) {
          const chunks: Uint8Array[] = []
          for await (const chunk of kept.body) chunks.push(chunk)
          expect(Buffer.compare(Buffer.concat(chunks), expected)).toBe(0)
        }
      },
    )

    test('an empty message, and a session that said nothing of itself', async () => {
      const { mail } = await open()
      const id = idAt(MINUTE)
      const bare = { ...SESSION, tls: undefined, hello: undefined, user: undefined }
      await mail.save(messageOf(id, []), bare)
      const kept = await mail.load(id)
      expect(textOf(await kept.bytes())).toBe(textOf(top))
      expect(Object.keys(kept.record.session)).toEqual(['id', 'remote', 'local', 'transmissionType'])
    })

    test.each([0, 1, 5])('a message that breaks off after %i chunks leaves nothing', async (count) => {
      const { mail, stored } = await open()
      const chunks = [...Array.from({ length: count }, () => pattern(40_000)), ABORTED]
      await expect(mail.save(messageOf(idAt(MINUTE), chunks), SESSION)).rejects.toBe(ABORTED)
      expect(await stored()).toEqual([])
      expect((await mail.list()).records).toEqual([])
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
      const { mail, stored } = await open()
      await expectCode('invalid-id', () => mail.load(id))
      await expectCode('invalid-id', () => mail.delete(id))
      await expectCode('invalid-id', () => mail.bounce(id, { reason: 'x' }))
      await expectCode('invalid-id', () => mail.list({ cursor: id }))
      await expectCode('invalid-id', () => saveText(mail, id))
      expect(await stored()).toEqual([])
    })

    test('delete', async () => {
      const { mail, stored, of } = await open()
      const [gone, stays] = [idAt(MINUTE), idAt(MINUTE)]
      await saveText(mail, gone)
      await saveText(mail, stays)
      const held = await mail.load(gone)
      await mail.delete(gone)
      expect(await stored()).toEqual(of(stays))
      await expectCode('not-found', () => mail.load(gone))
      await expectCode('not-found', () => mail.delete(gone))
      await expectCode('not-found', () => held.bytes())
    })

    test('bounce', async () => {
      const { mail, stored, of } = await open()
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
      expect(await stored()).toEqual(of(good))
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
  })
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', bytes)).toString('hex')
}
