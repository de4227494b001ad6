/** What a MailStore does, whatever is below it. */
import { type BlobStore, mailStore, type MailStore, StorageError } from '@postern/storage'
import { describe, expect, test } from 'vitest'
import { expectCode, pattern } from './blob-contract.ts'
import { get, keysIn, put } from './blobs.ts'
import { bytesOf, idAt, messageOf, saveText, SESSION, textOf, TRACE } from './mail.ts'
import { idsOf, mailStoreContract } from './mail-store-contract.ts'

/** Where a message of 2026-11-21 05:42 UTC lies. */
const MINUTE = '2026-11-21T05:42:07.123Z'
const FOLDER = '2026/11/21/0542/'

export { allPages, idsOf } from './mail-store-contract.ts'

export function mailContract(name: string, make: () => BlobStore | Promise<BlobStore>): void {
  async function open(): Promise<{ blobs: BlobStore; mail: MailStore }> {
    const blobs = await make()
    return { blobs, mail: mailStore(blobs) }
  }

  mailStoreContract(name, async () => {
    const { blobs, mail } = await open()
    return {
      mail,
      stored: () => keysIn(blobs),
      of: (id) => [`${FOLDER}${id}.eml`, `${FOLDER}${id}.json`],
    }
  })

  describe(`${name}: mail`, () => {
    test('where a message lies, and that it lies there as it came', async () => {
      const { blobs, mail } = await open()
      const id = idAt(MINUTE)
      await mail.save(messageOf(id, [pattern(70_000), pattern(3)]), SESSION)
      const expected = Buffer.concat([TRACE, pattern(70_000), pattern(3)])
      expect(Buffer.compare(await get(blobs, `${FOLDER}${id}.eml`), expected)).toBe(0)
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
