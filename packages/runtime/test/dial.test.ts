import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listen, selfSigned } from '../src/node/index.ts'
import { certificate, echo, Hall, hears } from './harness.ts'
import { eventually } from '../../../test/kit/waiting.ts'
import { PLACES } from './places.ts'

const host = '127.0.0.1'

/** Accepts connections and sends nothing. */
async function silent(): Promise<number> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => sockets.add(socket.on('error', () => {})))
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(server.listen(0, host), 'listening')
  return (server.address() as AddressInfo).port
}

async function echoing(): Promise<number> {
  const listener = await listen(echo, { port: 0, host, tls: certificate, implicitTls: true })
  onTestFinished(() => listener.close())
  return listener.address.port
}

describe.each(PLACES)('%s', (runtime, { dial, openHandles }) => {
  // OpenSSL and BoringSSL check a chain from opposite ends, so their errors differ.
  const untrusted = /^(DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE)$/

  test('dialling a port without a listener rejects with the code of the system', async () => {
    await expect(dial({ host, port: 1 })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(dial({ port: 1 })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(dial({ path: '/nowhere/at/all' })).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test.each([
    [{}, /port or path/],
    [{ port: 25, path: 'x' }, /port or path/],
    [{ port: 25, implicitTls: true }, /needs tls/],
    [{ port: 25, connectTimeoutMs: 0 }, /connectTimeoutMs/],
  ])('refuses options %j', async (options, message) => {
    await expect(dial(options)).rejects.toThrow(message)
  })

  test('a missing handshake rejects at the time limit, and leaves no open socket', async () => {
    const port = await silent()
    const before = openHandles()
    const dialling = dial({ host, port, implicitTls: true, tls: {}, connectTimeoutMs: 100 })
    await expect(dialling).rejects.toMatchObject({ code: 'ETIMEDOUT' })
    // The server's end is still open.
    await eventually(() => openHandles() <= before + 1, 'openHandles() <= before + 1')
  })

  test('a signal aborts the attempt with its reason', async () => {
    const port = await silent()
    const controller = new AbortController()
    const dialling = dial({ host, port, implicitTls: true, tls: {}, signal: controller.signal })
    controller.abort('changed my mind')
    await expect(dialling).rejects.toBe('changed my mind')
    await expect(dial({ host, port, signal: controller.signal })).rejects.toBe('changed my mind')
  })

  test('a signal has no effect on an open connection', async () => {
    const controller = new AbortController()
    const client = await dial({
      host,
      port: await echoing(),
      implicitTls: true,
      tls: { ca: certificate.cert },
      signal: controller.signal,
    })
    controller.abort()
    expect(await hears(client, 'still here')).toBe(true)
    await client.end()
  })

  test('an untrusted certificate is refused, unless the options allow it', async () => {
    const port = await echoing()
    await expect(dial({ host, port, implicitTls: true, tls: {} })).rejects.toMatchObject({
      code: expect.stringMatching(untrusted),
    })
    const trusting = await dial({ host, port, implicitTls: true, tls: { rejectUnauthorized: false } })
    expect(trusting.tls?.peerCertificate?.verified).toBe(false)
    await trusting.end()
  })

  test.runIf(runtime === 'bun')("options that Bun's TLS does not support are rejected, not ignored", async () => {
    await expect(dial({ host, port: 25, tls: { minDHSize: 2048 } })).rejects.toThrow(/^tls.minDHSize: /)
  })

  test('a trusted certificate for another host is not verified if the options allow it', async () => {
    const port = await echoing()
    const allowed = { ca: certificate.cert, rejectUnauthorized: false }
    const right = await dial({ host, port, implicitTls: true, tls: allowed })
    const wrong = await dial({ host, port, implicitTls: true, tls: { ...allowed, servername: 'mx.example.com' } })
    expect([right, wrong].map(({ tls }) => tls?.peerCertificate?.verified)).toEqual([true, false])
    await Promise.all([right.end(), wrong.end()])
  })

  test('an address is not sent as the name of the server', async () => {
    const hall = new Hall()
    const listener = await listen(hall, { port: 0, host, tls: certificate, implicitTls: true })
    onTestFinished(() => listener.close())
    const client = await dial({ host, port: listener.address.port, implicitTls: true, tls: { ca: certificate.cert } })
    const server = await hall.next()
    expect([client.tls?.peerCertificate?.verified, server.tls?.serverName]).toEqual([true, undefined])
    client.destroy()
  })

  test('a trusted certificate without the address is not verified if the options allow it', async () => {
    const elsewhere = await selfSigned({ hosts: ['mx.example.com'] })
    const listener = await listen(echo, { port: 0, host, tls: elsewhere, implicitTls: true })
    onTestFinished(() => listener.close())
    const tls = { ca: elsewhere.cert, rejectUnauthorized: false }
    const client = await dial({ host, port: listener.address.port, implicitTls: true, tls })
    expect(client.tls?.peerCertificate?.verified).toBe(false)
    await client.end()
  })

  test('a certificate for another host is refused', async () => {
    const tls = { ca: certificate.cert, servername: 'mx.example.com' }
    await expect(dial({ host, port: await echoing(), implicitTls: true, tls })).rejects.toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
  })
})
