/** The document of a message is what its JSON Schema says, whatever the message is. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { expect, test } from 'vitest'
import type { Session } from '@postern/engine'
import { keep, mailStore } from '@postern/storage'
import { checkDocument, type MailDocument, toJson, type ToJsonOptions } from '@postern/storage/document'
import { memory } from '@postern/storage/memory'
import { CORPUS, messageOf } from '../../../test/contracts/mime/mime.ts'
import { bytesOf, hookMessageOf, idAt, SESSION, TRACE } from '../../../test/contracts/mail/messages.ts'

const schema = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../../docs/message.schema.json'), 'utf8'),
) as object
const ajv = new Ajv2020({ strict: true })
addFormats.default(ajv)
const validate = ajv.compile(schema)

/** Keeps a message, and makes its document. */
async function documentOf(message: Uint8Array, options: ToJsonOptions = {}, summary = true): Promise<MailDocument> {
  const store = mailStore(memory())
  const id = idAt(Date.now())
  const session = SESSION as Session
  await keep(store, { summary, attachments: 'apart', attachmentsAboveBytes: 10 })(hookMessageOf(id, [message]), session)
  const document = await toJson(await store.load(id), options)
  const parsed: unknown = JSON.parse(JSON.stringify(document))
  expect(parsed).toEqual(document)
  expect(checkDocument(parsed)).toEqual(document)
  validate(parsed)
  expect(validate.errors).toBeNull()
  return document
}

function linesOf(...lines: readonly string[]): Uint8Array {
  return bytesOf(lines.join('\r\n'))
}

const REPLY = linesOf(
  'From: Ann <ann@a.example>',
  'Subject: Re: Hello',
  'Message-ID: <3@a.example>',
  'In-Reply-To: <2@b.example>',
  'References: <1@a.example> <2@b.example>',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=m',
  '',
  '--m',
  'Content-Type: multipart/alternative; boundary=a',
  '',
  '--a',
  'Content-Type: text/plain; charset=iso-8859-1',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  'Gr=FC=DFe',
  '',
  'On Monday, Bob wrote:',
  '> Hello',
  '-- =',
  '',
  'Ann',
  '--a',
  'Content-Type: text/html',
  '',
  '<p>Gr&#252;&#223;e</p>',
  '--a--',
  '--m',
  'Content-Type: message/rfc822',
  '',
  'Subject: inner',
  '',
  'not the text of the author',
  '--m',
  'Content-Type: image/png; name=a.png',
  'Content-Transfer-Encoding: base64',
  '',
  Buffer.from('not really an image').toString('base64'),
  '--m--',
  '',
)

test('a document has the text of the author, what is quoted, and where the bytes of each part are', async () => {
  const { record, summary, text, html, parts, threadId, verdicts } = await documentOf(REPLY)
  expect(threadId).toBe('1@a.example')
  expect([summary, verdicts]).toEqual([record.summary, record.verdicts])
  expect(text).toEqual({
    value: 'Grüße\n\nOn Monday, Bob wrote:\n> Hello\n-- \nAnn',
    from: 'plain',
    isCut: false,
    blocks: [
      { kind: 'text', firstLine: 1, lastLine: 2 },
      { kind: 'attribution', firstLine: 3, lastLine: 3 },
      { kind: 'quote', firstLine: 4, lastLine: 4 },
      { kind: 'signature', firstLine: 5, lastLine: 6 },
    ],
  })
  expect(html).toEqual({ value: '<p>Gr&#252;&#223;e</p>', isCut: false })
  expect(parts.map(({ section, type, isAttachment }) => [section, type, isAttachment])).toEqual([
    ['TEXT', 'multipart/mixed', false],
    ['1', 'multipart/alternative', false],
    ['1.1', 'text/plain', false],
    ['1.2', 'text/html', false],
    ['2', 'message/rfc822', true],
    ['2.1', 'text/plain', false],
    ['3', 'image/png', true],
  ])
  const [image] = record.attachments?.filter(({ section }) => section === '3') ?? []
  const { start = 0, length = 0 } = parts.at(-1)?.encodedBody ?? {}
  const stored = Buffer.concat([TRACE, REPLY]).subarray(start, start + length)
  expect(Buffer.from(stored.toString(), 'base64').toString()).toBe('not really an image')
  expect(parts.at(-1)).toMatchObject({ fileName: 'a.png', size: 19, blob: { key: image?.key, sha256: image?.sha256 } })
})

test('a document has a summary although the record has none, the text that HTML shows, and says where it was cut', async () => {
  const message = linesOf('Subject: x', 'Content-Type: text/html', '', `<b>Hello</b> ${'x'.repeat(1000)}`)
  const { record, summary, text, html } = await documentOf(message, { maxTextOctets: 100 }, false)
  expect([record.summary, summary.subject]).toEqual([undefined, 'x'])
  expect([html?.value.length, html?.isCut, text?.from, text?.isCut]).toEqual([100, true, 'html', true])
  expect(text?.value.trim()).toMatch(/^Hello +x+$/)
  const utf8 = linesOf('', 'Grüße 🐦')
  const cut = async (maxTextOctets: number): Promise<string | undefined> =>
    (await documentOf(utf8, { maxTextOctets })).text?.value
  expect(await Promise.all([3, 4, 8, 9, 11, 12].map(cut))).toEqual([
    'Gr',
    'Grü',
    'Grüße ',
    'Grüße ',
    'Grüße ',
    'Grüße 🐦',
  ])
  const flowed = linesOf('Content-Type: text/plain; format=flowed', '', 'one ', 'two', '> a ', '> b')
  expect((await documentOf(flowed)).text?.value).toBe('one two\n> a b')
  const exact = linesOf('', 'y'.repeat(100))
  expect((await documentOf(exact, { maxTextOctets: 100 })).text).toMatchObject({ value: 'y'.repeat(100), isCut: false })
})

test.each(CORPUS.map(({ name, rows }) => [name, rows] as const))('documents of the corpus: %s', async (_, rows) => {
  for (const row of rows) await documentOf(messageOf(row))
})

test('a document that is not as it has to be is refused by its validator and by its schema', async () => {
  const document = await documentOf(REPLY)
  const wrong = [
    ['document.version is not one of 1', { ...document, version: 2 }],
    [
      'document.text.blocks[0].kind is not one of text, quote, attribution, signature',
      { ...document, text: { ...document.text, blocks: [{ kind: 'x', firstLine: 1, lastLine: 1 }] } },
    ],
    ['document.parts is not a list', { ...document, parts: {} }],
    ['document.record.sha256 is not a SHA-256', { ...document, record: { ...document.record, sha256: 'x' } }],
  ] as const
  for (const [message, value] of wrong) {
    expect(() => checkDocument(value)).toThrow(new TypeError(message))
    expect(validate(value)).toBe(false)
  }
})
