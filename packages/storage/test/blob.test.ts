import { join } from 'node:path'
import { checkKey, type StorageError } from '@postern/storage'
import { memory } from '@postern/storage/memory'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { expectCode, HOSTILE_KEYS, mostlyBrief, pattern, storeContract } from './blob-contract.ts'
import { get, put } from './blobs.ts'
import { temporaryDirectory } from '../../../test/kit/directory.ts'
import { machineBackends } from './contract/machine.ts'

const directory = temporaryDirectory()

for (const backend of mostlyBrief(machineBackends(directory), 1)) storeContract('blobs', backend)

describe('keys', () => {
  test('a text of segments in the safe alphabet is a key', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}$/), { minLength: 1, maxLength: 20 }),
        (segments) => {
          expect(checkKey(segments.join('/'))).toBe(segments.join('/'))
        },
      ),
    )
  })

  test('an accepted key stays below the directory that it is joined to', () => {
    const nasty = fc.oneof(
      fc.constantFrom(...HOSTILE_KEYS),
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.array(fc.constantFrom('.', '..', '/', 'a', '\\', '\0', '-')).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(nasty, (key) => {
        try {
          checkKey(key)
        } catch (error) {
          expect((error as StorageError).code).toBe('invalid-key')
          return
        }
        expect(join('/root/of/it', key)).toBe(`/root/of/it/${key}`)
        expect(key).not.toMatch(/(^|\/)\.|[^\x21-\x7e]/)
      }),
      { numRuns: 2000 },
    )
  })

  test('a value that is not text is rejected', () => {
    for (const key of [undefined, null, 7, {}, ['a']]) expect(() => checkKey(key as string)).toThrow('not a key')
  })
})

describe('memory', () => {
  test('a store over its limit answers no-space, and recovers after a delete', async () => {
    const store = memory({ maxBytes: 1000 })
    await put(store, 'a', pattern(600))
    await expectCode('no-space', () => put(store, 'b', pattern(401)))
    const pending = store.write('c')
    await pending.write(pattern(400))
    await expectCode('no-space', () => put(store, 'd', pattern(1)))
    await pending.abort()
    await expectCode('exists', () => put(store, 'a', pattern(400)))
    await put(store, 'd', pattern(400))
    await store.delete('a')
    await put(store, 'e', pattern(600))
    expect((await store.list()).keys).toEqual(['d', 'e'])
  })

  test('a blob that does not fit is not kept, and its memory is free again', async () => {
    const store = memory({ maxBytes: 1000 })
    const writer = store.write('a')
    await writer.write(pattern(900))
    await expectCode('no-space', async () => writer.write(pattern(101)))
    await expectCode('unavailable', () => writer.commit())
    await writer.abort()
    expect((await store.list()).keys).toEqual([])
    await put(store, 'a', pattern(1000))
  })

  test('a reader that changes the bytes that it got does not change the blob', async () => {
    const store = memory()
    await put(store, 'a', pattern(200_000))
    for await (const chunk of (await store.read('a')).body) chunk.fill(0)
    expect(await get(store, 'a')).toEqual(pattern(200_000))
  })

  test('an invalid limit is rejected', () => {
    for (const maxBytes of [-1, 1.5, Number.NaN]) expect(() => memory({ maxBytes })).toThrow(RangeError)
  })
})
