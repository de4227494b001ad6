/** The Worker's HTTP answers if the store gives bytes that do not fit the record. */
import { join } from 'node:path'
import type { Server } from '@postern/engine'
import { expect, test, vi } from 'vitest'
import { takeEmail } from '@postern/worker'
import { READ_TOKEN } from './reading.ts'

/** The parts that are used of files that are compiled with the types of workerd. */
interface Routes {
  request(path: string, init: object, env: object, context: object): Promise<Response>
}
type IntakeOf = (env: object) => { readonly server: Server }

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
  const source = join(import.meta.dirname, '../src')
  const { http } = (await import(join(source, 'http.ts'))) as { http: Routes }
  const { intakeOf } = (await import(join(source, 'intake.ts'))) as { intakeOf: IntakeOf }
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
  const { text } = await takeEmail(intakeOf(env).server, { from: '', to: 'bob@example.com', raw, rawSize: 9 })
  const id = text.split(' ').at(-1)
  async function bytesOf(): Promise<number | 'broken'> {
    const headers = { authorization: `Bearer ${READ_TOKEN}` }
    const response = await http.request(`/mail/${id}/raw`, { headers }, env, { waitUntil: () => {} })
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
