/** A message is kept whole, with its record, or not at all. */
import { mailStore } from '@postern/storage'
import { ABORTED, bytesOf, idAt, messageOf, saveText, SESSION, textOf, TRACE } from './messages.ts'
import { equal, expectCode, hasKeys, joined, keysIn, pattern, put, sameBytes, sha256 } from '../blobs/exchange.ts'
import {
  essential,
  expectError,
  failingWrites,
  FOLDER,
  idsOf,
  idsOfMinute,
  lists,
  type MailCheck,
  MINUTE,
  ofEach,
  open,
  type OpenedMail,
} from './opened.ts'

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
  '01KASJ3V5QCYF6Y3W9T2Z8N4Rß',
  '０1KASJ3V5QCYF6Y3W9T2Z8N4RB',
]

/** The facts about every message of `messageOf`. */
const RECORD = {
  schemaVersion: 1,
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
  verdicts: {},
}

export const saved: readonly MailCheck[] = [
  essential(
    ofEach('a message is read back byte for byte, with its record', async (open) => {
      for (const later of [false, true]) await comesBack(await open(), later)
    }),
  ),
  ofEach('an empty message is kept, from a session with few facts', async (open) => {
    const { mail, top } = await open()
    const id = idAt(MINUTE)
    await mail.save(messageOf(id, []), { ...SESSION, tls: undefined, hello: undefined, user: undefined })
    const kept = await mail.load(id)
    sameBytes(await kept.bytes(), top, 'the bytes')
    equal(Object.keys(kept.record.session), ['id', 'remote', 'local', 'transmissionType'], 'what is known of it')
  }),
  essential(
    ofEach('a message that is cut off leaves nothing', async (open) => {
      const { mail, stored } = await open()
      for (const count of [0, 1, 5]) {
        const chunks = [...Array.from({ length: count }, () => pattern(40_000)), ABORTED]
        const what = `broken off after ${count} chunks`
        await expectError(ABORTED, () => mail.save(messageOf(idAt(MINUTE), chunks), SESSION), what)
        equal(await stored(), [], what)
        equal((await mail.list()).records, [], `records, ${what}`)
      }
    }),
  ),
  {
    name: 'the record has the facts that are known after the last byte, and save asks for them once',
    async run(make) {
      const { mail } = await open(make)
      const verdicts = { scanner: { result: 'pass' } }
      const [atOnce, later = ''] = idsOfMinute(2)
      for (const id of [atOnce, later]) {
        const message = messageOf(id, [bytesOf('hello')])
        const asked: string[] = []
        const record = await mail.save(
          {
            ...message,
            read() {
              const bytes = message.read()
              if (bytes === null && asked.length === 0) asked.push('the end')
              return bytes
            },
            facts() {
              asked.push('facts')
              return id === atOnce ? { verdicts } : Promise.resolve({ verdicts })
            },
          },
          SESSION,
        )
        equal(asked, ['the end', 'facts'], 'what was asked')
        equal(record.verdicts, verdicts, 'verdicts')
        equal((await mail.load(id)).record, record, 'the record that is loaded')
      }
    },
  },
  {
    name: 'the record has what the sender asks of servers that send the message on',
    async run(make) {
      const { mail } = await open(make)
      const [first, second = ''] = idsOfMinute(2)
      const deadline = new Date('2026-11-21T06:00:00.500Z')
      const asked = [
        {
          given: { requireTls: true, priority: -3, deliverBy: { deadline, mode: 'return', trace: true } },
          recorded: {
            requireTls: true,
            priority: -3,
            deliverBy: { deadline: '2026-11-21T06:00:00.500Z', mode: 'return', trace: true },
          },
        },
        {
          given: { priority: 0, holdUntil: deadline },
          recorded: { priority: 0, holdUntil: '2026-11-21T06:00:00.500Z' },
        },
      ] as const
      for (const [index, id] of [first, second].entries()) {
        const { given, recorded } = asked[index] as (typeof asked)[number]
        const message = messageOf(id as string, [bytesOf('hello')])
        const record = await mail.save({ ...message, envelope: { ...message.envelope, ...given } }, SESSION)
        const { requireTls, priority, deliverBy, holdUntil } = record
        const found = Object.entries({ requireTls, priority, deliverBy, holdUntil }).filter(
          ([, value]) => value !== undefined,
        )
        equal(Object.fromEntries(found), recorded, 'the record')
        equal((await mail.load(id as string)).record, record, 'the record that is loaded')
      }
    },
  },
  {
    name: 'a message whose facts fail, or take longer than its sender waits, leaves nothing',
    async run(make) {
      const { blobs, mail } = await open(make)
      const failure = new Error('no verdict')
      const fail = (): never => {
        throw failure
      }
      for (const facts of [fail, () => Promise.reject(failure)]) {
        const message = { ...messageOf(idAt(MINUTE), [bytesOf('hello')]), facts }
        await expectError(failure, () => mail.save(message, SESSION), 'facts that fail')
        await hasKeys(blobs, [], 'facts that fail')
      }
      const message = messageOf(idAt(MINUTE), [bytesOf('hello')])
      let isLate = false
      const read = (): ReturnType<typeof message.read> => (isLate ? Promise.reject(ABORTED) : message.read())
      const facts = async (): Promise<{}> => {
        isLate = true
        return {}
      }
      await expectError(ABORTED, () => mail.save({ ...message, read, facts }, SESSION), 'facts that take too long')
      await hasKeys(blobs, [], 'facts that take too long')
    },
  },
  {
    name: 'a message whose last commit takes longer than its sender waits leaves nothing',
    async run(make) {
      const { blobs, mail } = await open(make)
      const message = messageOf(idAt(MINUTE), [bytesOf('hello')])
      const read = async (): Promise<Uint8Array | null> => {
        if ((await keysIn(blobs)).some((key) => key.endsWith('.json'))) throw ABORTED
        return message.read()
      }
      await expectError(ABORTED, () => mail.save({ ...message, read }, SESSION), 'a late commit')
      await hasKeys(blobs, [], 'keys')
    },
  },
  {
    name: 'a failed write of the envelope leaves no bytes either',
    async run(make) {
      const { blobs } = await open(make)
      const failing = mailStore(failingWrites(blobs, '.json'))
      await expectCode('unavailable', () => saveText(failing, idAt(MINUTE)))
      await hasKeys(blobs, [], 'keys')
    },
  },
  {
    name: 'a second message with the same id leaves the first one unchanged',
    async run(make) {
      const { mail } = await open(make)
      const id = idAt(MINUTE)
      await saveText(mail, id, 'first')
      await expectCode('exists', () => saveText(mail, id, 'second'))
      equal(textOf(await (await mail.load(id)).bytes()), `${textOf(TRACE)}first`, 'the text')
    },
  },
  {
    name: 'half a message is never visible',
    isEssential: true,
    async run(make) {
      const { blobs, mail } = await open(make)
      const [half, whole = ''] = idsOfMinute(2)
      await put(blobs, `${FOLDER}${half}.eml`, 'bytes and no envelope')
      await saveText(mail, whole)
      await lists(mail, [whole], 'messages')
      await expectCode('not-found', () => mail.load(half), 'load')
      await expectCode('not-found', () => mail.delete(half), 'delete')
      await expectCode('not-found', () => mail.bounce(half, { reason: 'x' }), 'bounce')
      await hasKeys(blobs, [`${FOLDER}${half}.eml`, `${FOLDER}${whole}.eml`, `${FOLDER}${whole}.json`], 'keys')
    },
  },
  ofEach('hostile ids are refused with `invalid-id`', async (open) => {
    const { mail, stored } = await open()
    for (const id of HOSTILE_IDS) {
      const what = JSON.stringify(id)
      await expectCode('invalid-id', () => mail.load(id), `load ${what}`)
      await expectCode('invalid-id', () => mail.delete(id), `delete ${what}`)
      await expectCode('invalid-id', () => mail.bounce(id, { reason: 'x' }), `bounce ${what}`)
      await expectCode('invalid-id', () => mail.list({ cursor: id }), `list ${what}`)
      await expectCode('invalid-id', () => saveText(mail, id), `save ${what}`)
    }
    equal(await stored(), [], 'what is stored')
  }),
  {
    name: 'changed bytes are reported as corrupt, whatever the change',
    async run(make) {
      const { blobs, mail } = await open(make)
      for (const change of ['shorter', 'longer', 'one bit', 'none at all']) {
        const id = idAt(MINUTE)
        await saveText(mail, id, textOf(pattern(30_000).map((byte) => byte & 0x7f)))
        const stored = await mail.load(id)
        const bytes = await stored.bytes()
        const key = `${FOLDER}${id}.eml`
        await blobs.delete(key)
        if (change === 'shorter') await put(blobs, key, bytes.subarray(0, -1))
        if (change === 'longer') await put(blobs, key, joined([bytes, bytesOf('x')]))
        if (change === 'one bit') await put(blobs, key, bytes.with(20_000, (bytes[20_000] as number) ^ 1))
        await expectCode('corrupt', () => stored.verify(), `verify, ${change}`)
        await expectCode('corrupt', () => stored.bytes(), `bytes, ${change}`)
        // Its record is still valid, and the message can be removed.
        equal(idsOf(await mail.list()), [id], `messages, ${change}`)
        await mail.delete(id)
      }
    },
  },
]

async function comesBack({ mail, ...store }: OpenedMail, later: boolean): Promise<void> {
  const id = idAt(MINUTE)
  const parts = [bytesOf('Subject: x\r\n\r\n'), pattern(70_000), pattern(3), pattern(200_000)]
  const record = await mail.save(messageOf(id, parts, later), SESSION)
  const expected = joined([store.top, ...parts])
  equal(await store.stored(), store.namesOf(id), 'what is stored')
  if (store.readAround !== undefined) sameBytes(await store.readAround(id), expected, 'the blob')
  const stored = await mail.load(id)
  const facts = { ...RECORD, id, size: expected.length, sha256: sha256(expected), ...store.added(record) }
  equal(record, facts, 'the record')
  equal(stored.record, record, 'the record that is loaded')
  sameBytes(await stored.bytes(), expected, 'bytes()')
  await stored.verify()
  for (let twice = 0; twice < 2; twice++) {
    const chunks: Uint8Array[] = []
    for await (const chunk of stored.body) chunks.push(chunk)
    sameBytes(joined(chunks), expected, 'body')
  }
}
