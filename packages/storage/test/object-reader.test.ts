/** How an object of a bucket is read, with any sender. */
import { StorageError } from '@postern/storage'
import { expect, test } from 'vitest'
import { ObjectReader } from '../src/bucket/object-reader.ts'
import { chunksOf } from '../src/bucket/stream.ts'

/** Makes a server that sends these chunks, and then fails with the error if one is given. */
function sending(chunks: readonly string[], broken?: Error) {
  const told: string[] = []
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = chunks[told.filter((each) => each === 'pull').length]
      told.push('pull')
      if (next !== undefined) controller.enqueue(new TextEncoder().encode(next))
      else if (broken === undefined) controller.close()
      else controller.error(broken)
    },
    cancel: () => void told.push('cancel'),
  })
  return {
    told,
    object: {
      size: 10,
      body: chunksOf(stream),
      discard: () => void told.push('discard'),
      failure: (error: unknown) =>
        error instanceof StorageError ? error : new StorageError('denied', 'broken off', { cause: error }),
    },
  }
}

async function textOf(reader: ObjectReader): Promise<string> {
  let text = ''
  for await (const chunk of reader.body) text += new TextDecoder().decode(chunk)
  return text
}

test('an object that is read to its end is not cancelled', async () => {
  const { object, told } = sending(['hello', '', 'world'])
  const reader = new ObjectReader('key', object)
  expect(await textOf(reader)).toBe('helloworld')
  await reader.close()
  expect(told).not.toContain('cancel')
  expect(told).not.toContain('discard')
})

test('a reader that is left early cancels the stream and the request', async () => {
  const { object, told } = sending(['hello', 'world'])
  for await (const chunk of new ObjectReader('key', object).body) {
    expect(chunk).toHaveLength(5)
    break
  }
  expect(told).toContain('cancel')
  expect(told).toContain('discard')
})

test('a reader that is closed unread cancels the request once, and then gives no bytes', async () => {
  const { object, told } = sending(['hello', 'world'])
  const reader = new ObjectReader('key', object)
  await reader.close()
  await reader.close()
  expect(await textOf(reader)).toBe('')
  expect(told.filter((each) => each === 'discard')).toHaveLength(1)
})

test.each([
  {
    name: 'fewer bytes than were announced',
    chunks: ['hello'],
    message: "can't read key: the bucket sent 5 bytes of 10",
  },
  {
    name: 'more bytes than were announced',
    chunks: ['hello', 'world', '!'],
    message: "can't read key: the bucket sent 11 bytes of 10",
  },
])('an object of $name fails with `unavailable` at its end', async ({ chunks, message }) => {
  const { object } = sending(chunks)
  await expect(textOf(new ObjectReader('key', object))).rejects.toMatchObject({ code: 'unavailable', message })
})

test('the error of a body that breaks off has the message of the server', async () => {
  const broken = new Error('cut')
  const { object, told } = sending(['hello'], broken)
  await expect(textOf(new ObjectReader('key', object))).rejects.toMatchObject({ code: 'denied', cause: broken })
  expect(told).toContain('discard')
})
