/** Attachments that are kept apart: each a blob of its own, decoded, beside the whole message. */
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import type { Session } from '@postern/engine'
import { type BlobStore, keep, type StoredAttachment } from '@postern/storage'
import type { MakeStore } from '../blobs/check.ts'
import { equal, expectCode, get, hasKeys, keysIn, put } from '../blobs/exchange.ts'
import { ABORTED, bytesOf, hookMessageOf, idAt, SESSION, TRACE } from './messages.ts'
import { essential, expectError, failingWrites, FOLDER, type MailCheck, MINUTE, open } from './opened.ts'

const session = SESSION as Session
const APART = { attachments: 'apart', attachmentsAboveBytes: 1000 } as const
/** Larger than what a store on a disk holds in memory. */
const LARGE = Uint8Array.from({ length: 200_000 }, (_, index) => (index * 31) % 251)
const TEXT = 'naïve\r\n'.repeat(4000)
const SMALL = 'just a few words'
/** Cuts a message into such pieces. */
const PIECE_BYTES = 20_000

const WHOLE = bytesOf(
  [
    'From: ann@example.org',
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: text/plain',
    '',
    `The text. ${'It is long, and no attachment. '.repeat(100)}`,
    '--b',
    'Content-Type: APPLICATION/PDF',
    'Content-Disposition: attachment; filename="=?utf-8?Q?Gr=C3=BC=C3=9Fe.pdf?="',
    'Content-ID: <one@example.org>',
    'Content-Transfer-Encoding: base64',
    '',
    (
      Buffer.from(LARGE)
        .toString('base64')
        .match(/.{1,76}/g) ?? []
    ).join('\r\n'),
    '--b',
    'Content-Type: image/b@d; name="../../etc/passwd\u0007"',
    'Content-Transfer-Encoding: 8bit',
    '',
    TEXT,
    '--b',
    'Content-Type: text/plain; name=small.txt',
    '',
    SMALL,
    '--b--',
    '',
  ].join('\r\n'),
)

function piecesOf(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) pieces.push(bytes.subarray(at, at + PIECE_BYTES))
  return pieces
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function recordsOf(id: string): unknown {
  const prefix = `attachments/${FOLDER}${id}.`
  const text = bytesOf(TEXT)
  return [
    {
      section: '2',
      fileName: 'Grüße.pdf',
      type: 'application/pdf',
      contentId: 'one@example.org',
      size: LARGE.length,
      sha256: sha256Of(LARGE),
      key: `${prefix}2`,
    },
    {
      section: '3',
      fileName: '../../etc/passwd',
      type: 'application/octet-stream',
      size: text.length,
      sha256: sha256Of(text),
      key: `${prefix}3`,
    },
  ]
}

function keysOf(id: string): string[] {
  return [`${FOLDER}${id}.eml`, `${FOLDER}${id}.json`, `attachments/${FOLDER}${id}.2`, `attachments/${FOLDER}${id}.3`]
}

async function bytesIn({ body }: StoredAttachment): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Uint8Array.from(Buffer.concat(chunks))
}

/** @param count The order of the messages of a check */
async function keepOne(blobs: BlobStore, count: number = 0): Promise<string> {
  const id = idAt(MINUTE, count)
  await keep(blobs, APART)(hookMessageOf(id, piecesOf(WHOLE)), session)
  return id
}

export const apart: readonly MailCheck[] = [
  essential({
    name: 'attachments apart are stored decoded while the message arrives, and the message is whole',
    async run(make) {
      const { blobs, mail } = await open(make)
      const id = idAt(MINUTE)
      const message = hookMessageOf(id, piecesOf(WHOLE))
      let pieces = piecesOf(WHOLE).length
      let early: string[] = []
      const read = message.read.bind(message)
      const watched = Object.assign(message, {
        async read() {
          if (--pieces === 0) early = await keysIn(blobs)
          return read()
        },
      })
      await keep(blobs, { ...APART, summary: true })(watched, session)
      equal(early, [`attachments/${FOLDER}${id}.2`], 'what is stored before the last bytes are read')
      await hasKeys(blobs, keysOf(id), 'keys')
      const kept = await mail.load(id)
      equal(kept.record.attachments, recordsOf(id), 'the attachments in the record')
      equal(kept.record.summary?.attachmentCount, 3, 'attachments of the summary')
      const whole = Buffer.concat([TRACE, WHOLE])
      equal(sha256Of(await kept.bytes()), sha256Of(whole), 'the bytes of the message')
      equal(sha256Of(await get(blobs, `attachments/${FOLDER}${id}.2`)), sha256Of(LARGE), 'the blob of the first')
      const loaded = await mail.attachments?.load(kept.record, '2')
      equal(sha256Of(await bytesIn(loaded as StoredAttachment)), sha256Of(LARGE), 'the first one, loaded')
      await expectCode('not-found', () => mail.attachments?.load(kept.record, '4'), 'load of one that is inside')
    },
  }),
  {
    name: 'attachments apart go when their message goes: deleted, expired, or never kept',
    async run(make) {
      const { blobs, mail } = await open(make)
      const deleted = await keepOne(blobs)
      const { record } = await mail.load(deleted)
      await mail.delete(deleted)
      await hasKeys(blobs, [], 'keys after the delete')
      await expectCode('not-found', () => mail.attachments?.load(record, '2'), 'load of a deleted one')
      const expired = await keepOne(blobs)
      await mail.bounce(expired, { reason: 'x' })
      const size = record.size + LARGE.length + bytesOf(TEXT).length
      equal(await mail.expire({ maxBytes: size, maxCount: 1 }), { messages: 0, bytes: 0 }, 'what fits')
      await keepOne(blobs, 1)
      equal(await mail.expire({ maxBytes: size }), { messages: 1, bytes: size }, 'what is too much')
      const [left] = (await mail.list()).records
      await hasKeys(blobs, keysOf(left?.id ?? ''), 'keys after the expiry')
    },
  },
  {
    name: 'of a message that breaks off, or whose envelope fails, no attachment stays',
    async run(make) {
      const blobs = await make()
      const half = piecesOf(WHOLE).slice(0, -1)
      const broken = hookMessageOf(idAt(MINUTE), [...half, ABORTED])
      await expectError(ABORTED, () => keep(blobs, APART)(broken, session), 'keep')
      await hasKeys(blobs, [], 'keys after it broke off')
      const failing = failingWrites(blobs, '.json')
      const error = await keep(failing, APART)(hookMessageOf(idAt(MINUTE), piecesOf(WHOLE)), session).catch(String)
      equal(String(error).includes('451 4.3.0'), true, `what the client gets: ${String(error)}`)
      await hasKeys(blobs, [], 'keys after the failure')
    },
  },
  {
    name: 'an attachment that fails refuses the message',
    async run(make) {
      const blobs = await make()
      const failing = failingWrites(blobs, '.2')
      const error = await keep(failing, APART)(hookMessageOf(idAt(MINUTE), piecesOf(WHOLE)), session).catch(String)
      equal(String(error).includes('451 4.3.0'), true, `what the client gets: ${String(error)}`)
      await hasKeys(blobs, [], 'keys')
    },
  },
  { name: 'a sweep removes attachments without an envelope, and only if they are old', run: sweepTakesOrphans },
  {
    name: 'an attachment with other bytes than its record says, or none, is corrupt',
    async run(make) {
      const { blobs, mail } = await open(make)
      const id = await keepOne(blobs)
      const { record } = await mail.load(id)
      const load = async (section: string): Promise<unknown> =>
        bytesIn((await mail.attachments?.load(record, section)) as StoredAttachment)
      await blobs.delete(`attachments/${FOLDER}${id}.2`)
      await expectCode('corrupt', () => load('2'), 'one that is missing')
      const changed = Uint8Array.from(LARGE)
      changed[100_000] = 255
      await put(blobs, `attachments/${FOLDER}${id}.2`, changed)
      await expectCode('corrupt', () => load('2'), 'one that was changed')
      equal(sha256Of((await load('3')) as Uint8Array), sha256Of(bytesOf(TEXT)), 'the other one')
    },
  },
]

async function sweepTakesOrphans(make: MakeStore): Promise<void> {
  const { blobs, mail } = await open(make)
  const kept = await keepOne(blobs)
  const orphan = idAt(MINUTE, 1)
  await put(blobs, `attachments/${FOLDER}${orphan}.1.2`)
  await put(blobs, `attachments/${FOLDER}${orphan}.x`, 'not ours')
  const before = await keysIn(blobs)
  equal((await mail.sweep()).messages, 0, 'swept while it is young')
  await hasKeys(blobs, before, 'keys while it is young')
  // A store may give times in whole seconds.
  await new Promise((resolve) => setTimeout(resolve, 1100))
  equal((await mail.sweep({ olderThanMs: 5 })).messages, 1, 'swept')
  await hasKeys(blobs, [...keysOf(kept), `attachments/${FOLDER}${orphan}.x`], 'keys')
  await (await mail.load(kept)).verify()
}
