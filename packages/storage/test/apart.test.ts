/** Attachments apart, beside many other messages. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Session } from '@postern/engine'
import { type BlobStore, keep, mailStore } from '@postern/storage'
import { fs } from '@postern/storage/fs'
import { memory } from '@postern/storage/memory'
import { bytesOf, hookMessageOf, idAt, SESSION } from '../../../test/contracts/mail/messages.ts'
import { bound } from '../../../test/contracts/mail/opened.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'

const MESSAGES = 20

test.each(['files', 'packed'] as const)(
  'messages with large attachments do not wait for one another if one file may be open (%s)',
  async (layout) => {
    const blobs = fs(temporaryDirectory(), { layout, maxOpenFiles: 1 })
    const session = SESSION as Session
    const hook = keep(blobs, { attachments: 'apart' })
    const ids = Array.from({ length: MESSAGES }, (_, index) => idAt('2026-12-01T00:00:00Z', index))
    const answers = await Promise.all(
      ids.map((id) => {
        const lines =
          randomBytes(200_000)
            .toString('hex')
            .match(/.{1,70}/g) ?? []
        const head = 'Content-Type: application/octet-stream; name=a.bin\r\n\r\n'
        return hook(hookMessageOf(id, [head, ...lines.map((line) => `${line}\r\n`)].map(bytesOf)), session)
      }),
    )
    expect(answers.map(({ code }) => code)).toEqual(Array(MESSAGES).fill(250))
    const { records } = await mailStore(blobs).list()
    expect(records.map(({ attachments }) => attachments?.length)).toEqual(Array(MESSAGES).fill(1))
  },
)

test.each([
  ['is the whole message', ''],
  ['has no delimiter behind it', 'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n'],
])('an attachment that %s is kept to its last octet, by writers that wait for each write', async (_, above) => {
  const blobs = memory()
  const slow: BlobStore = {
    ...bound(blobs),
    write(key, options) {
      const writer = blobs.write(key, options)
      return {
        write: async (bytes) => {
          await Promise.resolve()
          await writer.write(bytes)
        },
        commit: () => writer.commit(),
        abort: () => writer.abort(),
      }
    },
  }
  const octets = randomBytes(50_002)
  const field = 'Content-Type: image/png; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n'
  // Without padding, the last octet is known only when the message ends.
  const text = octets.toString('base64').replaceAll('=', '')
  const pieces = [above, field, text.slice(0, 60_000), text.slice(60_000)]
  const id = idAt(Date.now())
  const session = SESSION as Session
  const options = { attachments: 'apart', attachmentsAboveBytes: 0 } as const
  await keep(slow, options)(hookMessageOf(id, pieces.map(bytesOf)), session)
  const store = mailStore(blobs)
  const { record } = await store.load(id)
  expect(record.attachments).toMatchObject([{ section: '1', size: octets.length }])
  const loaded = await store.attachments?.load(record, '1')
  const chunks: Uint8Array[] = []
  for await (const chunk of loaded?.body ?? []) chunks.push(chunk)
  expect(Buffer.concat(chunks).equals(octets)).toBe(true)
})

test('a message has at most 100 attachments apart, and the others stay inside', async () => {
  const store = mailStore(fs(temporaryDirectory()))
  const part = '--b\r\nContent-Type: application/x; name=a\r\n\r\n0123456789\r\n'
  const message = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(120)}--b--\r\n`
  const id = idAt(Date.now())
  const session = SESSION as Session
  await keep(store, { attachments: 'apart', attachmentsAboveBytes: 0 })(hookMessageOf(id, [bytesOf(message)]), session)
  const { attachments = [] } = (await store.load(id)).record
  expect([attachments.length, attachments.at(-1)?.section]).toEqual([100, '100'])
})
