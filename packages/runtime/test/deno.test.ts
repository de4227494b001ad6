/** Behaviour of Deno alone, such as TLS options that Deno would silently ignore. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { checkServerTls } from '../src/deno/options.ts'
import type { TlsOptions } from '../src/sockets/tls/index.ts'
import { certificate, Hall } from './harness.ts'
import { startRemote } from './remote.ts'

const deno = startRemote(['deno', 'run', '--allow-net=127.0.0.1', '--allow-read'])
afterAll(() => deno.close())

const refused: readonly (readonly [Partial<TlsOptions>, RegExp])[] = [
  [{ secureContext: { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' } }, /secureContext.ciphers: Deno does not support it/],
  [{ secureContext: { ecdhCurve: 'secp384r1' } }, /secureContext.ecdhCurve: Deno does not support it/],
  [{ minVersion: 'TLSv1.1' }, /minVersion: Deno does not support TLSv1.1/],
]

test.each(refused)('listening refuses %j', async (tls, message) => {
  const options = { port: 0, host: '127.0.0.1', tls: { ...certificate, ...tls } }
  await expect(deno.listen(new Hall(), options)).rejects.toThrow(message)
})

test.each(['others', 'sni'] as const)('a second certificate for a host is refused, in %s', (field) => {
  const others = [certificate]
  const options = { others: { others }, sni: { sni: { 'mx.example': { ...certificate, others } } } }[field]
  expect(() => checkServerTls({ ...certificate, ...options })).toThrow(/^tls.others: Deno uses one certificate/)
})

test('dialling refuses the same options', async () => {
  const options = { port: 1, host: '127.0.0.1', tls: { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' } }
  await expect(deno.dial(options)).rejects.toThrow(/tls.ciphers: Deno does not support it/)
})

test('a shared port is refused without the flag that Deno needs for it', async () => {
  const options = { port: 0, host: '127.0.0.1', reusePort: true }
  await expect(deno.listen(new Hall(), options)).rejects.toMatchObject({ code: 'ENOTSUP' })
})

test('an operation that Deno does not permit rejects, and the program goes on', async () => {
  await expect(deno.listen(new Hall(), { port: 0, host: '127.0.0.2' })).rejects.toMatchObject({ name: 'NotCapable' })
  const listener = await deno.listen(new Hall(), { port: 0, host: '127.0.0.1' })
  await listener.close()
})

test('a failed handshake holds no memory', () => {
  // Deno's own timer held about 12,000 bytes for each handshake, for two minutes.
  const program = join(import.meta.dirname, 'deno-handshakes.ts')
  const args = ['run', '--allow-read', '--allow-sys', '--v8-flags=--expose-gc', program]
  expect(Number(execFileSync('deno', args, { encoding: 'utf8' }))).toBeLessThan(3_000)
})
