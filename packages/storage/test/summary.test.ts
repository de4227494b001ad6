/** The summary of a message is in its record, whichever store keeps it. */
import type { Session } from '@postern/engine'
import { type BlobStore, keep, mailStore, type MailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { maildir } from '@postern/storage/maildir'
import { memory } from '@postern/storage/memory'
import { expect, test } from 'vitest'
import { bytesOf, hookMessageOf, idAt, SESSION } from '../../../test/contracts/mail/messages.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'

const session = SESSION as Session
const PIECES = ['From: Ann <ann@a.example>\r\nSubject: =?utf-8?Q?Gr=C3=BC', '=C3=9Fe?=\r\n\r\nHello', ' there\r\n'].map(
  bytesOf,
)
const SUMMARY = {
  subject: 'Grüße',
  from: [{ name: 'Ann', address: 'ann@a.example' }],
  to: [],
  snippet: 'Hello there',
  attachments: [],
  attachmentCount: 0,
}

const STORES: readonly [string, () => BlobStore | MailStore][] = [
  ['memory', memory],
  ['fs', () => fs(temporaryDirectory())],
  ['maildir', () => maildir(temporaryDirectory(), { create: 'any' })],
]

test.each(STORES)('a store in %s has the summary in the record, if it is asked for', async (_, open) => {
  const store = open()
  const mail = 'save' in store ? store : mailStore(store)
  for (const summary of [true, false]) {
    const id = idAt(Date.now())
    expect((await keep(store, { summary })(hookMessageOf(id, PIECES), session)).code).toBe(250)
    const { record } = await mail.load(id)
    expect(record.summary).toEqual(summary ? SUMMARY : undefined)
  }
})

test('fields that a server adds on top are in the summary', async () => {
  const store = mailStore(memory())
  const id = idAt(Date.now())
  const trace = bytesOf(
    'Received: by mx.example.com\r\nMessage-ID: <added@mx.example.com>\r\nFrom: <ann@example.com>\r\n',
  )
  await keep(store, { summary: true })({ ...hookMessageOf(id, [bytesOf('Subject: x\r\n\r\ny')]), trace }, session)
  expect((await store.load(id)).record.summary).toMatchObject({
    messageId: 'added@mx.example.com',
    from: [{ address: 'ann@example.com' }],
    subject: 'x',
    snippet: 'y',
  })
})
