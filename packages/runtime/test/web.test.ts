/** Tests of Web streams beyond the contract of Duplex: the streams that toWebStreams makes, and streams that misbehave. */
import { expect, test } from 'vitest'
import { pair } from '../src/memory/index.ts'
import { FillingReader, fillingReader } from '../src/web/filling.ts'
import { fromWebStreams, toWebStreams } from '../src/web/index.ts'
import { ascii, crossing, fill, MiB } from '../../../test/contracts/duplex/exchange.ts'

const lingerMs = 1_000

test('toWebStreams reads nothing before the consumer asks, and shows back-pressure to the writer', async () => {
  const [near, far] = pair({ lingerMs })
  const { readable, writable } = toWebStreams(near)
  const { written } = await fill(far)
  expect(written).toBeLessThan(MiB)
  const writer = writable.getWriter()
  expect(writer.desiredSize).toBe(1)
  // The far end does not read, and buffers 64 KiB.
  void writer.write(new Uint8Array(100_000)).catch(() => {})
  await crossing()
  expect(writer.desiredSize).toBe(0)
  expect((await readable.getReader().read()).value?.byteLength).toBe(65_536)
  far.destroy()
})

test('toWebStreams does not change chunks after it gave them', async () => {
  const shared = ascii('first')
  const [near, far] = pair({ lingerMs, chunkBytes: 3 })
  const reader = toWebStreams(near).readable.getReader()
  await far.write(shared)
  const { value } = await reader.read()
  expect(value).toEqual(ascii('fir'))
  expect(value?.buffer).not.toBe(shared.buffer)
  expect((await reader.read()).value).toEqual(ascii('st'))
})

test('toWebStreams fills a view (BYOB), and returns it at the end', async () => {
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

test('toWebStreams sends the end at once when the writable closes, and the readable goes on', async () => {
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

test.each(['cancel', 'abort'] as const)('toWebStreams destroys the connection on %s', async (how) => {
  const [near, far] = pair({ lingerMs })
  const { readable, writable } = toWebStreams(near)
  await (how === 'cancel' ? readable.cancel() : writable.abort())
  await expect(far.read()).rejects.toThrow('reset')
})

test('toWebStreams errors the readable if the connection breaks', async () => {
  const [near, far] = pair({ lingerMs })
  const { readable } = toWebStreams(near)
  const reading = readable.getReader().read()
  far.destroy()
  await expect(reading).rejects.toThrow('reset')
})

test('toWebStreams rejects a write of anything but bytes', async () => {
  const [near] = pair({ lingerMs })
  const writer = toWebStreams(near).writable.getWriter()
  await expect(writer.write('text' as unknown as Uint8Array)).rejects.toThrow('a chunk is not a Uint8Array')
})

test('fromWebStreams breaks the connection and errors both streams if the readable gives anything but bytes', async () => {
  let isCancelled = false
  let isAborted = false
  const duplex = fromWebStreams({
    readable: new ReadableStream({
      start: (controller) => controller.enqueue('text' as unknown as Uint8Array),
      cancel: () => void (isCancelled = true),
    }),
    writable: new WritableStream({ abort: () => void (isAborted = true) }),
  })
  await expect(duplex.read()).rejects.toThrow('not a Uint8Array')
  expect({ isCancelled, isAborted }).toEqual({ isCancelled: true, isAborted: true })
})

test('fromWebStreams does not answer a read with an empty chunk', async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const duplex = fromWebStreams({ readable, writable: new WritableStream() })
  const writer = writable.getWriter()
  const reading = duplex.read()
  await writer.write(new Uint8Array(0))
  await writer.write(ascii('x'))
  expect(await reading).toEqual(ascii('x'))
  duplex.destroy()
})

test('fromWebStreams buffers no more than its limit, however much the stream has', async () => {
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
  // The stream needs only microtasks.
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(pulled * 1_000).toBeLessThan(70_000)
  duplex.destroy()
})

test('fromWebStreams rejects locked streams and an invalid time', () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  expect(() => fromWebStreams({ readable, writable, lingerMs: -1 })).toThrow(RangeError)
  readable.getReader()
  expect(() => fromWebStreams({ readable, writable })).toThrow(TypeError)
})

/** Gives the bytes that the test sets, and records the sizes of the buffers that it has to fill. */
function meteredStream(sizes: readonly number[]): { stream: ReadableStream<Uint8Array>; rooms: number[] } {
  const rooms: number[] = []
  let left = [...sizes]
  const stream = new ReadableStream(
    {
      type: 'bytes',
      pull(controller) {
        const request = controller.byobRequest
        rooms.push(request?.view?.byteLength ?? 0)
        const [size = 0, ...others] = left
        left = others
        if (size === 0) controller.close()
        request?.respond(Math.min(size, request.view?.byteLength ?? 0))
      },
    },
    { highWaterMark: 0 },
  )
  return { stream: stream as ReadableStream<Uint8Array>, rooms }
}

test('FillingReader grows its buffer while reads fill it, and does not hold a large one for a few bytes', async () => {
  const KiB = 1_024
  const { stream, rooms } = meteredStream([MiB, MiB, MiB, MiB, 20 * KiB, 10 * KiB, 100, 100, 4 * KiB, 16 * KiB])
  const reader = new FillingReader(stream)
  const given: { byteLength: number; held: number }[] = []
  for (let result = await reader.read(); !result.done; result = await reader.read()) {
    const bytes = reader.own(result.value as Uint8Array)
    given.push({ byteLength: bytes.byteLength, held: bytes.buffer.byteLength })
  }
  expect(rooms).toEqual([4, 16, 32, 32, 32, 32, 32, 4, 4, 16, 32].map((size) => size * KiB))
  expect(given).toEqual([
    ...[4, 16, 32, 32].map((size) => ({ byteLength: size * KiB, held: size * KiB })),
    { byteLength: 20 * KiB, held: 32 * KiB },
    { byteLength: 10 * KiB, held: 10 * KiB },
    { byteLength: 100, held: 100 },
    { byteLength: 100, held: 100 },
    { byteLength: 4 * KiB, held: 4 * KiB },
    { byteLength: 16 * KiB, held: 16 * KiB },
  ])
})

test('fillingReader reads other streams than byte streams chunk by chunk, and rejects a locked one', async () => {
  const chunk = ascii('as it is')
  const stream = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(chunk) })
  expect((await fillingReader(stream).read()).value).toBe(chunk)
  expect(() => fillingReader(stream)).toThrow(TypeError)
})

test('FillingReader does not change given bytes when it uses their buffer again', async () => {
  const [near, far] = pair({ lingerMs })
  const reader = new FillingReader(toWebStreams(near).readable)
  await far.write(ascii('first'))
  const first = reader.own((await reader.read()).value as Uint8Array)
  await far.write(ascii('second'))
  const second = reader.own((await reader.read()).value as Uint8Array)
  expect([first, second]).toEqual([ascii('first'), ascii('second')])
})
