import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { dial } from '../src/node/index.ts'
import { ascii, certificate, Hall, openHandles, readText } from './harness.ts'
import { eventually } from '../../../test/kit/waiting.ts'
import { sleep } from '../../../test/kit/waiting.ts'
import { call, host, open } from './tls-harness.ts'
import { PLACES } from './places.ts'

describe.each(PLACES)('%s', (runtime, place) => {
  /** Counts the open handles on both sides. */
  const handles = (): number => (runtime === 'node' ? openHandles() : openHandles() + place.openHandles())
  describe('unfinished handshakes', () => {
    test('silent clients are cut off, and no handle stays open', async () => {
      const { port, hall, errors } = await open(place, { tls: certificate, handshakeTimeoutMs: 200 })
      const before = handles()
      const silent = Array.from({ length: 50 }, () => connect(port, host).on('error', () => {}))
      await eventually(
        () => silent.every((socket) => socket.destroyed) && errors.length >= 50 && handles() <= before,
        'silent.every((socket) => socket.destroyed) && errors.length >= 50 && handles() <= before',
      )
      expect(errors).toHaveLength(50)
      expect(errors[0]?.message).toBe('the TLS handshake took longer than 200 ms')
      expect(hall.accepted).toEqual([])
    })

    test('slow clients are cut off too', async () => {
      const { port, errors } = await open(place, { tls: certificate, handshakeTimeoutMs: 300 })
      const slow = connect(port, host).on('error', () => {})
      // Sends the head of a ClientHello of 512 bytes, then a zero byte now and then.
      slow.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]))
      while (!slow.destroyed) {
        slow.write(Buffer.alloc(1))
        await sleep(20)
      }
      await eventually(() => errors.length === 1, 'errors.length === 1')
      expect(errors[0]?.message).toMatch(/took longer/)
    })

    test('the oldest handshake is closed if there are too many, and a real client gets in', async () => {
      const { port, hall, errors } = await open(place, { tls: certificate, maxHandshakes: 10 })
      const silent = Array.from({ length: 30 }, () => connect(port, host).on('error', () => {}))
      await eventually(
        () => silent.filter((socket) => socket.destroyed).length === 20,
        'silent.filter((socket) => socket.destroyed).length === 20',
      )
      await call(port)
      await hall.next()
      await eventually(() => errors.length === 21, 'errors.length === 21')
      expect(errors[0]?.message).toMatch(/too many/)
      for (const socket of silent) socket.destroy()
    })

    test('a slow client keeps its place, however many connections come from another address', async () => {
      const { port, hall, errors } = await open(place, { tls: certificate, maxHandshakes: 10 })
      const slow = connect(port, host)
      await eventually(() => !slow.connecting, '!slow.connecting')
      await sleep(50)
      const from = { port, host, localAddress: '127.0.0.2' }
      const flood = Array.from({ length: 40 }, () => connect(from).on('error', () => {}))
      await eventually(
        () => flood.filter((socket) => socket.destroyed).length === 31,
        'flood.filter((socket) => socket.destroyed).length === 31',
      )
      expect(slow.destroyed).toBe(false)
      const secure = connectTls({ socket: slow, ca: certificate.cert })
      await eventually(() => secure.authorized, 'secure.authorized')
      const accepted = await hall.next()
      expect(accepted.remote).toMatchObject({ address: host, port: slow.localPort })
      await eventually(() => errors.length === 31, 'errors.length === 31')
      for (const { message, remote } of errors) {
        expect(message).toMatch(/too many/)
        expect(remote?.address).toBe('127.0.0.2')
      }
      for (const socket of [secure, ...flood]) socket.destroy()
    })

    test('a client that leaves during the handshake is removed at once', async () => {
      const { port, errors } = await open(place, { tls: certificate })
      const before = handles()
      connect(port, host).end()
      connect(port, host).end(Buffer.from([0x16, 3, 1, 2, 0]))
      await eventually(() => errors.length === 2 && handles() <= before, 'errors.length === 2 && handles() <= before')
    })

    test('a client that does not speak TLS is reported to the owner', async () => {
      const { port, hall, errors } = await open(place, { tls: certificate })
      const client = await dial({ host, port })
      await client.write(ascii('EHLO plain.example\r\n'))
      await eventually(() => errors.length === 1, 'errors.length === 1')
      expect(errors[0]?.message).toMatch(/wrong.version.number|http.request/i)
      expect(hall.accepted).toEqual([])
      client.destroy()
    })

    test('closing the listener ends unfinished handshakes', async () => {
      const hall = new Hall()
      const listener = await place.listen(hall, { port: 0, host, tls: certificate, implicitTls: true })
      const silent = connect(listener.address.port, host).on('error', () => {})
      // The listener cannot close a connection that it has not accepted yet.
      await eventually(() => !silent.connecting, '!silent.connecting')
      await sleep(50)
      await listener.close()
      await eventually(() => silent.destroyed, 'silent.destroyed')
      expect(hall.accepted).toEqual([])
    })

    test('a thousand clients that reset leave no open handle', async () => {
      const { port, hall } = await open(place, { tls: certificate })
      const before = handles()
      for (let round = 0; round < 10; round++) {
        const sockets = Array.from({ length: 100 }, () => connect(port, host).on('error', () => {}))
        await eventually(
          () => sockets.every((socket) => !socket.connecting),
          'sockets.every((socket) => !socket.connecting)',
        )
        for (const socket of sockets) socket.write(Buffer.from([0x16, 3, 1]), () => socket.resetAndDestroy())
        await eventually(
          () => sockets.every((socket) => socket.destroyed),
          'sockets.every((socket) => socket.destroyed)',
        )
      }
      await eventually(() => handles() <= before, 'handles() <= before')
      expect(hall.accepted).toEqual([])
    })
  })

  describe('after the handshake', () => {
    test('a session ends if the client leaves with its last handshake message', async () => {
      const { port, hall } = await open(place, { tls: certificate })
      for (let again = 0; again < 20; again++) {
        const client = connectTls({ port, host, ca: certificate.cert })
        client.once('secureConnect', () => client.end())
        const accepted = await hall.next()
        expect(await Promise.resolve(accepted.read()).catch(() => null)).toBeNull()
        await accepted.end().catch(() => {})
      }
    })

    test('the time limit of the handshake does not end the connection', async () => {
      const { port, hall } = await open(place, { tls: certificate, handshakeTimeoutMs: 300 })
      const client = await call(port)
      const accepted = await hall.next()
      await sleep(500)
      await accepted.write(ascii('still here'))
      expect(await readText(client)).toBe('still here')
    })

    test('bytes that are not TLS break the connection', async () => {
      const { port, hall } = await open(place, { tls: certificate })
      const raw = connect(port, host)
      connectTls({ socket: raw, ca: certificate.cert }).on('error', () => {})
      const accepted = await hall.next()
      raw.write('no record of TLS at all')
      await expect(Promise.resolve(accepted.read())).rejects.toThrow(/bad.record.type|wrong.version|unexpected.record/i)
      await eventually(() => raw.destroyed, 'raw.destroyed')
    })
  })

  describe('STARTTLS', () => {
    test('is available only with certificates', async () => {
      const { port, hall } = await open(place, { implicitTls: false })
      const client = await dial({ host, port })
      expect((await hall.next()).startTls).toBeUndefined()
      expect(client.startTls).toBeUndefined()
      client.destroy()
    })

    test('lets pending replies arrive before the handshake', async () => {
      const { port, hall } = await open(place, { tls: certificate, implicitTls: false })
      const client = await dial({ host, port, tls: { ca: certificate.cert } })
      const accepted = await hall.next()
      const size = 8 * 1_048_576
      const writing = accepted.write(new Uint8Array(size).fill(0x2e))
      const handshake = accepted.startTls?.()
      let received = 0
      while (received < size) {
        const bytes = await client.read()
        expect(bytes?.every((byte) => byte === 0x2e)).toBe(true)
        received += bytes?.byteLength ?? size
      }
      await Promise.all([client.startTls?.(), handshake, writing])
      await accepted.write(ascii('hello'))
      expect(await readText(client)).toBe('hello')
      client.destroy()
    })

    // CVE-2011-0411: bytes that were pipelined behind STARTTLS must not count as bytes that came over TLS.
    test('fails if the kernel already has bytes in clear', async () => {
      const { port, hall } = await open(place, { tls: certificate, implicitTls: false })
      const client = connect(port, host).on('error', () => {})
      const accepted = await hall.next()
      const reading = readText(accepted)
      client.write('STARTTLS\r\n')
      expect(await reading).toBe('STARTTLS\r\n')
      const handshake = place.startTlsAfter(accepted, () => client.write('RSET\r\n'))
      await expect(handshake).rejects.toThrow(/wrong.version.number/i)
      await expect(accepted.read()).rejects.toThrow()
    })

    test('fails if the peer has ended', async () => {
      const { port, hall } = await open(place, { tls: certificate, implicitTls: false })
      const client = await dial({ host, port, tls: {} })
      const accepted = await hall.next()
      const closed = client.end()
      expect(await accepted.read()).toBeNull()
      await expect(accepted.startTls?.()).rejects.toThrow()
      await accepted.end()
      await closed
    })

    test('fails at both ends if the client refuses the certificate, and other connections go on', async () => {
      const { port, hall } = await open(place, { tls: certificate, implicitTls: false })
      const client = await dial({ host, port, tls: {} })
      const accepted = await hall.next()
      const handshake = accepted.startTls?.()
      await place.settled()
      const outcomes = await Promise.allSettled([handshake, client.startTls?.()])
      expect(outcomes[1]).toMatchObject({ status: 'rejected', reason: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } })
      await expect(Promise.resolve(client.read())).rejects.toThrow()
      expect(await Promise.resolve(accepted.read()).catch(() => null)).toBeNull()
      accepted.destroy()
    })
  })
})
