/** What the contract of Duplex does not say of Web streams: the streams that are made, and streams that misbehave. */
import { expect, test } from 'vitest'
import { pair } from '../src/memory/index.ts'
import { fromWebStreams, toWebStreams } from '../src/web/index.ts'
import { ascii, CROSSING_MS, fill, MiB, sleep } from './exchange.ts'

const lingerMs = 1_000

test('toWebStreams: nothing is pulled that nobody wants, and a writer that waits is seen', async () => {
  const [near, far] = pair({ lingerMs })
  const { readable, writable } = toWebStreams(near)
  const { written } = await fill(far)
  expect(written).toBeLessThan(MiB)
  const writer = writable.getWriter()
  expect(writer.desiredSize).toBe(1)
  // Nobody reads at the far end, where 64 KiB fit.
  void writer.write(new Uint8Array(100_000)).catch(() => {})
  await sleep(CROSSING_MS)
  expect(writer.desiredSize).toBe(0)
  expect((await readable.getReader().read()).value?.byteLength).toBe(65_536)
  far.destroy()
})

test('toWebStreams: chunks stay as they are', async () => {
  const shared = ascii('first')
  const [near, far] = pair({ lingerMs, chunkBytes: 3 })
  const reader = toWebStreams(near).readable.getReader()
  await far.write(shared)
  const { value } = await reader.read()
  expect(value).toEqual(ascii('fir'))
  expect(value?.buffer).not.toBe(shared.buffer)
  expect((await reader.read()).value).toEqual(ascii('st'))
})

test('toWebStreams: a view is filled (BYOB), and given back at the end', async () => {
  const [near, far] = pair({ lingerMs })
  const reader = toWebStreams(near).readable.getReader({ mode: 'byob' })
  await far.write(ascii('hello'))
  const { value } = await reader.read(new Uint8Array(3))
  expect(value).toEqual(ascii('hel'))
  expect((await reader.read(new Uint8Array(3))).value).toEqual(ascii('lo'))
  void far.end()
  const { done, value: rest } = await reader.read(new Uint8Array(3))
  expect({ done, byteLength: rest?.byteLength }).toEqual({ done: true, byteLength: 0 })
})

test('toWebStreams: closing the writable sends the end at once, and the readable goes on', async () => {
  const [near, far] = pair({ lingerMs })
  const { readable, writable } = toWebStreams(near)
  await writable.close()
  expect(await far.read()).toBeNull()
  await far.write(ascii('answer'))
  void far.end()
  const chunks = []
  for await (const chunk of readable) chunks.push(chunk)
  expect(chunks).toEqual([ascii('answer')])
})

test.each(['cancel', 'abort'] as const)('toWebStreams: %s destroys the connection', async (how) => {
  const [near, far] = pair({ lingerMs })
  const { readable, writable } = toWebStreams(near)
  await (how === 'cancel' ? readable.cancel() : writable.abort())
  await expect(far.read()).rejects.toThrow('reset')
})

test('toWebStreams: a connection that breaks is an error of the readable', async () => {
  const [near, far] = pair({ lingerMs })
  const { readable } = toWebStreams(near)
  const reading = readable.getReader().read()
  far.destroy()
  await expect(reading).rejects.toThrow('reset')
})

test('toWebStreams: what is written must be bytes', async () => {
  const [near] = pair({ lingerMs })
  const writer = toWebStreams(near).writable.getWriter()
  await expect(writer.write('text' as unknown as Uint8Array)).rejects.toThrow('a chunk is not a Uint8Array')
})

test('fromWebStreams: a readable of anything but bytes breaks the connection, and both streams hear of it', async () => {
  let isCancelled = false
  let isAborted = false
  const duplex = fromWebStreams({
    readable: new ReadableStream({
      start: (controller) => controller.enqueue('text' as unknown as Uint8Array),
      cancel: () => void (isCancelled = true),
    }),
    writable: new WritableStream({ abort: () => void (isAborted = true) }),
  })
  await expect(duplex.read()).rejects.toThrow('no Uint8Array')
  expect({ isCancelled, isAborted }).toEqual({ isCancelled: true, isAborted: true })
})

test('fromWebStreams: a chunk of nothing is not an answer', async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const duplex = fromWebStreams({ readable, writable: new WritableStream() })
  const writer = writable.getWriter()
  const reading = duplex.read()
  await writer.write(new Uint8Array(0))
  await writer.write(ascii('x'))
  expect(await reading).toEqual(ascii('x'))
  duplex.destroy()
})

test('fromWebStreams: nothing is pulled past the bound, whatever the stream would give', async () => {
  let pulled = 0
  const duplex = fromWebStreams({
    readable: new ReadableStream({
      pull(controller) {
        pulled += 1
        controller.enqueue(new Uint8Array(1_000))
      },
    }),
    writable: new WritableStream(),
  })
  // Microtasks are all that it takes.
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(pulled * 1_000).toBeLessThan(70_000)
  duplex.destroy()
})

test('fromWebStreams: streams that are locked, and a time that is none, are refused', () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  expect(() => fromWebStreams({ readable, writable, lingerMs: -1 })).toThrow(RangeError)
  readable.getReader()
  expect(() => fromWebStreams({ readable, writable })).toThrow(TypeError)
})
