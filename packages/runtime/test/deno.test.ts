/** What is Deno's own: options of TLS that it would pass over without a word. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { TlsOptions } from '../src/sockets/tls/index.ts'
import { certificate, Hall } from './harness.ts'
import { startRemote } from './remote.ts'

const deno = startRemote(['deno', 'run', '--allow-net=127.0.0.1', '--allow-read'])
afterAll(() => deno.close())

const refused: readonly (readonly [Partial<TlsOptions>, RegExp])[] = [
  [{ secureContext: { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' } }, /secureContext.ciphers: Deno cannot do it/],
  [{ secureContext: { ecdhCurve: 'secp384r1' } }, /secureContext.ecdhCurve: Deno cannot do it/],
  [{ minVersion: 'TLSv1.1' }, /minVersion: Deno speaks no TLSv1.1/],
]

test.each(refused)('listening refuses %j', async (tls, message) => {
  const options = { port: 0, host: '127.0.0.1', tls: { ...certificate, ...tls } }
  await expect(deno.listen(new Hall(), options)).rejects.toThrow(message)
})

test('dialling refuses them too', async () => {
  const options = { port: 1, host: '127.0.0.1', tls: { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' } }
  await expect(deno.dial(options)).rejects.toThrow(/tls.ciphers: Deno cannot do it/)
})

test('a shared port wants a flag, and is refused without', async () => {
  const options = { port: 0, host: '127.0.0.1', reusePort: true }
  await expect(deno.listen(new Hall(), options)).rejects.toMatchObject({ code: 'ENOTSUP' })
})

test('what Deno does not allow is told, and ends nothing', async () => {
  await expect(deno.listen(new Hall(), { port: 0, host: '127.0.0.2' })).rejects.toMatchObject({ name: 'NotCapable' })
  const listener = await deno.listen(new Hall(), { port: 0, host: '127.0.0.1' })
  await listener.close()
})

test('a handshake that failed holds no memory', () => {
  // Deno's own timer held some 12,000 bytes for each, and for two minutes.
  const program = join(import.meta.dirname, 'deno-handshakes.ts')
  const args = ['run', '--allow-read', '--allow-sys', '--v8-flags=--expose-gc', program]
  expect(Number(execFileSync('deno', args, { encoding: 'utf8' }))).toBeLessThan(3_000)
})
