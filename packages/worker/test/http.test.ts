/** The Worker's HTTP answers if the store gives bytes that do not fit the record. */
import { Hono } from 'hono'
import { expect, test, vi } from 'vitest'
import { takeEmail } from '../src/email.ts'
import { fetchHandler } from '../src/http.ts'
import { createReceiver } from '../src/receiver.ts'
import { WRONG_SETTINGS } from './wrong-settings.ts'

const READ_TOKEN = 'read-0123456789abcdef0123456789abcdef'
const CONTEXT = { waitUntil: () => {} }

/** The same as workerd's own, except that it does not count. */
class FixedLengthStream extends TransformStream<Uint8Array, Uint8Array> {
  constructor(_byteLength: number) {
    super()
  }
}

/** Makes a bucket that reports the end some time after the last byte, as a network does. */
function bucket(objects: Map<string, Uint8Array>): object {
  return {
    head: async () => null,
    async put(key: string, value: Uint8Array) {
      objects.set(key, value.slice())
      return { size: value.length }
    },
    async get(key: string) {
      const bytes = objects.get(key)
      if (bytes === undefined) return null
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(bytes)
          setTimeout(() => controller.close(), 20)
        },
      })
      return { size: bytes.length, body }
    },
  }
}

test('a download stays incomplete if the bytes do not fit the record', async () => {
  const receiver = createReceiver()
  const http = fetchHandler(receiver)
  vi.stubGlobal('FixedLengthStream', FixedLengthStream)
  const said = vi.spyOn(console, 'info').mockReturnValue(undefined)
  const objects = new Map<string, Uint8Array>()
  const env = {
    POSTERN_HOSTNAME: 'mx.example.com',
    POSTERN_DOMAINS: '*',
    POSTERN_READ_TOKEN: READ_TOKEN,
    MAIL: bucket(objects),
  }
  const read = vi.fn().mockResolvedValueOnce({ done: false, value: new TextEncoder().encode('A: b\r\n\r\nx') })
  const raw = { getReader: () => ({ read: read.mockResolvedValue({ done: true }), cancel: async () => {} }) }
  const { text } = await takeEmail(receiver.open(env).server, { from: '', to: 'bob@example.com', raw, rawSize: 9 })
  const id = text.split(' ').at(-1)
  async function bytesOf(): Promise<number | 'broken'> {
    const headers = { authorization: `Bearer ${READ_TOKEN}` }
    const response = await http(new Request(`http://postern.example/mail/${id}/raw`, { headers }), env, CONTEXT)
    let byteLength = 0
    try {
      for await (const chunk of response.body ?? []) byteLength += chunk.length
    } catch {
      return byteLength === 0 ? 'broken' : byteLength
    }
    return byteLength
  }
  const [key, bytes] = [...objects].find(([name]) => name.endsWith('.eml')) ?? ['', new Uint8Array(0)]
  expect(await bytesOf()).toBe(bytes.length)
  objects.set(key, bytes.with(0, 0x79))
  expect(await bytesOf()).toBe('broken')
  said.mockRestore()
  vi.unstubAllGlobals()
})

test.each(WRONG_SETTINGS)(
  'with the wrong settings %j the Worker is not healthy, and its log says why',
  async (settings, text) => {
    const said = vi.spyOn(console, 'error').mockReturnValue(undefined)
    const env = { POSTERN_HOSTNAME: 'mx.example.com', POSTERN_DOMAINS: 'example.com', MAIL: {}, ...settings }
    const health = await fetchHandler(createReceiver())(new Request('http://postern.example/health'), env, CONTEXT)
    const [logged] = said.mock.calls[0] as [string]
    said.mockRestore()
    expect(health.status).toBe(500)
    expect((JSON.parse(logged) as { error: string }).error).toContain(text)
    expect(logged).not.toMatch(/"short"|misspelt/)
  },
)

test('an app of your own has the routes below a path', async () => {
  const app = new Hono().mount('/postern', fetchHandler(createReceiver()))
  const env = { POSTERN_HOSTNAME: 'mx.example.com', POSTERN_DOMAINS: 'example.com', MAIL: {} }
  const ask = async (path: string): Promise<number> =>
    (await app.request(path, {}, env, { ...CONTEXT, passThroughOnException: () => {}, props: {} })).status
  expect([await ask('/postern/health'), await ask('/postern/mail'), await ask('/health')]).toEqual([200, 404, 404])
})
