/** What the contract of Duplex does not say of Web streams: the streams that are made, and streams that misbehave. */
import { expect, test } from 'vitest'
import { pair } from '../src/memory/index.ts'
import { FillingReader, fillingReader } from '../src/web/filling.ts'
import { fromWebStreams, toWebStreams } from '../src/web/index.ts'
import { ascii, crossing, fill, MiB } from '../../../test/contracts/duplex/exchange.ts'

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
  await crossing()
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

/** Gives what it is told to, and notes how large the buffers are that it is to fill. */
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

test('FillingReader: buffers grow while they are filled, and a little holds no large one', async () => {
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

test('fillingReader: what is no byte stream is read as it gives itself, and what is locked not at all', async () => {
  const chunk = ascii('as it is')
  const stream = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(chunk) })
  expect((await fillingReader(stream).read()).value).toBe(chunk)
  expect(() => fillingReader(stream)).toThrow(TypeError)
})

test('FillingReader: what was given stays as it is, also where its buffer is used again', async () => {
  const [near, far] = pair({ lingerMs })
  const reader = new FillingReader(toWebStreams(near).readable)
  await far.write(ascii('first'))
  const first = reader.own((await reader.read()).value as Uint8Array)
  await far.write(ascii('second'))
  const second = reader.own((await reader.read()).value as Uint8Array)
  expect([first, second]).toEqual([ascii('first'), ascii('second')])
})
