import { createPrivateKey, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dial, selfSigned, TlsCredentials, type TlsOptions } from '../src/node/index.ts'
import { certificate, echo, hears } from './harness.ts'
import { eventually } from '../../../test/kit/waiting.ts'
import { call, fingerprint, host, open, shown } from './tls-harness.ts'
import { PLACES } from './places.ts'

const trusted = await selfSigned({ hosts: ['trusted'] })
const stranger = await selfSigned({ hosts: ['stranger'] })

/** Connects with Node's own client, which can resume sessions. */
function client(options: ConnectionOptions): TLSSocket {
  const socket = connectTls(options)
  onTestFinished(() => void socket.destroy())
  return socket
}

describe.each(PLACES)('%s', (_, place) => {
  describe('the facts about a handshake', () => {
    test.each(['TLSv1.2', 'TLSv1.3'] as const)('are reported for %s', async (version) => {
      const { port, hall } = await open(place, { tls: certificate })
      const client = await call(port, { ca: certificate.cert, servername: 'localhost', maxVersion: version })
      const { tls } = await hall.next()
      expect(tls).toEqual({ protocol: version, cipher: expect.stringMatching(/^TLS_/), serverName: 'localhost' })
      expect(client.tls).toEqual({
        protocol: version,
        cipher: tls?.cipher,
        serverName: 'localhost',
        peerCertificate: {
          subject: 'CN=localhost',
          issuer: 'CN=localhost',
          fingerprint: fingerprint(certificate),
          verified: true,
        },
      })
    })

    test('a client with TLS 1.1 is refused', async () => {
      const { port, errors } = await open(place, { tls: certificate })
      const old = {
        ca: certificate.cert,
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      } as const
      await expect(call(port, old)).rejects.toThrow()
      await eventually(() => errors.length === 1, 'errors.length === 1')
      expect(errors[0]?.message).toMatch(/unsupported.protocol|peer is incompatible/i)
      expect(errors[0]?.remote?.address).toBe(host)
    })
  })

  describe('a self-signed certificate', () => {
    test.each(['localhost', '127.0.0.1', '::1'])('is good for %s', async (name) => {
      const listener = await place.listen(echo, { port: 0, tls: certificate, implicitTls: true })
      onTestFinished(() => listener.close())
      const { port } = listener.address
      const client = await dial({ host: name, port, tls: { ca: certificate.cert }, implicitTls: true })
      expect(await hears(client, 'hello')).toBe(true)
      await client.end()
    })

    test('is made for the hosts and days that were asked for', async () => {
      const { cert } = await selfSigned({ hosts: ['mx.example.com', '192.0.2.7'], days: 3 })
      const { subjectAltName, validToDate } = new X509Certificate(cert)
      expect(subjectAltName).toBe('DNS:mx.example.com, IP Address:192.0.2.7')
      expect((validToDate.getTime() - Date.now()) / 86_400_000).toBeCloseTo(3, 1)
    })

    test.each([{ hosts: [] }, { days: 0 }, { days: NaN }])('refuses %j', async (options) => {
      await expect(selfSigned(options)).rejects.toThrow(RangeError)
    })
  })

  describe('SNI', () => {
    test('picks the certificate, whatever the case; other names get the default', async () => {
      const names = ['mx.example.com', '*.example.com', 'other.example'] as const
      const pairs = await Promise.all(names.map((name) => selfSigned({ hosts: [name] })))
      const sni = Object.fromEntries(names.map((name, index) => [name, pairs[index]])) as Required<TlsOptions>['sni']
      const { port } = await open(place, { tls: { ...certificate, sni } })
      const expected: Record<string, string | undefined> = {
        'mx.example.com': pairs[0]?.cert,
        'MX.Example.COM': pairs[0]?.cert,
        'a.example.com': pairs[1]?.cert,
        'a.b.example.com': certificate.cert,
        'example.com': certificate.cert,
        'other.example': pairs[2]?.cert,
        constructor: certificate.cert,
      }
      for (const [servername, cert = ''] of Object.entries(expected)) {
        const client = await call(port, { servername, rejectUnauthorized: false })
        expect([servername, shown(client)]).toEqual([servername, fingerprint({ cert })])
      }
      const nameless = await call(port, { servername: '', rejectUnauthorized: false })
      expect(shown(nameless)).toBe(fingerprint(certificate))
    })

    test('every certificate asks for client certificates alike', async () => {
      const pair = await selfSigned({ hosts: ['mx.example.com'] })
      const client = await selfSigned({ hosts: ['client'] })
      const tls = {
        ...certificate,
        sni: { 'mx.example.com': pair },
        ca: client.cert,
        clientCertificates: 'require',
      } as const
      const { port, hall } = await open(place, { tls })
      await call(port, { ca: pair.cert, servername: 'mx.example.com', ...client })
      expect((await hall.next()).tls?.peerCertificate?.verified).toBe(true)
    })
  })

  describe('client certificates', () => {
    const ca = certificate.cert
    const asked = { ...certificate, ca: trusted.cert }

    test('none does not ask clients for a certificate', async () => {
      const { port, hall } = await open(place, { tls: asked })
      await call(port, { ca, ...trusted })
      expect((await hall.next()).tls?.peerCertificate).toBeUndefined()
    })

    test.each(['TLSv1.2', 'TLSv1.3'] as const)(
      'request, %s: accepts each client, and distinguishes trusted certificates',
      async (maxVersion) => {
        const { port, hall } = await open(place, { tls: { ...asked, clientCertificates: 'request' } })
        await call(port, { ca, maxVersion })
        expect((await hall.next()).tls?.peerCertificate).toBeUndefined()
        await call(port, { ca, maxVersion, ...trusted })
        expect((await hall.next()).tls?.peerCertificate).toEqual({
          subject: 'CN=trusted',
          issuer: 'CN=trusted',
          fingerprint: fingerprint(trusted),
          verified: true,
        })
        await call(port, { ca, maxVersion, ...stranger })
        expect((await hall.next()).tls?.peerCertificate).toMatchObject({ subject: 'CN=stranger', verified: false })
      },
    )

    // Deno calls the certificate of every resumed session trusted.
    test.each(['TLSv1.2', 'TLSv1.3'] as const)('request, %s: a resumed session gives the same result', async (v) => {
      const { port, hall } = await open(place, { tls: { ...asked, clientCertificates: 'request' } })
      for (const [identity, verified] of [
        [trusted, true],
        [stranger, false],
      ] as const) {
        const options = { port, host, ca, maxVersion: v, ...identity }
        const first = client(options).resume()
        const ticket = once(first, 'session') as Promise<[Buffer]>
        const accepted = await hall.next()
        // Bun sends the ticket with the first bytes.
        await accepted.write(Buffer.from('hello'))
        const [session] = await ticket
        const second = client({ ...options, session })
        await once(second, 'secureConnect')
        expect(second.isSessionReused()).toBe(true)
        const seen = [accepted, await hall.next()].map(({ tls }) => tls?.peerCertificate?.verified)
        expect(seen).toEqual([verified, verified])
      }
    })

    test.each(['TLSv1.2', 'TLSv1.3'] as const)(
      'require, %s: accepts only clients with a trusted certificate',
      async (maxVersion) => {
        const { port, hall, errors } = await open(place, { tls: { ...asked, clientCertificates: 'require' } })
        // A client of TLS 1.3 finishes before the server has checked its certificate.
        for (const tls of [
          { ca, maxVersion },
          { ca, maxVersion, ...stranger },
        ]) {
          const outcome = await call(port, tls)
            .then((client) => client.read())
            .catch(() => null)
          expect(outcome).toBeNull()
        }
        await eventually(() => errors.length === 2, 'errors.length === 2')
        await call(port, { ca, maxVersion, ...trusted })
        expect((await hall.next()).tls?.peerCertificate?.fingerprint).toBe(fingerprint(trusted))
        expect(hall.accepted).toEqual([])
      },
    )

    test('are required over STARTTLS too', async () => {
      const { port, hall } = await open(place, { tls: { ...asked, clientCertificates: 'require' }, implicitTls: false })
      for (const [identity, isWelcome] of [
        [{}, false],
        [stranger, false],
        [trusted, true],
      ] as const) {
        const client = await dial({ host, port, tls: { ca, ...identity } })
        const accepted = await hall.next()
        const handshake = accepted.startTls?.()
        await place.settled()
        const outcomes = await Promise.allSettled([handshake, client.startTls?.()])
        expect(outcomes[0].status).toBe(isWelcome ? 'fulfilled' : 'rejected')
        client.destroy()
        accepted.destroy()
      }
    })
  })

  test('the server answers ALPN if the client asks for it', async () => {
    const { port, hall, errors } = await open(place, { tls: { ...certificate, alpn: ['smtp'] } })
    const client = await call(port, { ca: certificate.cert, ALPNProtocols: ['smtp'] })
    await hall.next()
    client.destroy()
    await expect(call(port, { ca: certificate.cert, ALPNProtocols: ['http/1.1'] })).rejects.toThrow()
    await eventually(() => errors.length === 1, 'errors.length === 1')
  })

  test("Node's own options reach the handshake", async () => {
    const { port } = await open(place, { tls: { ...certificate, secureContext: { maxVersion: 'TLSv1.2' } } })
    expect((await call(port)).tls?.protocol).toBe('TLSv1.2')
  })

  test('a listener accepts a key with a passphrase', async () => {
    const passphrase = 'open sesame'
    const exported = createPrivateKey(certificate.key).export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase,
    })
    const { port } = await open(place, { tls: { key: exported as string, cert: certificate.cert, passphrase } })
    expect(shown(await call(port))).toBe(fingerprint(certificate))
    expect(() => new TlsCredentials({ key: exported as string, cert: certificate.cert })).toThrow(/cannot be read/)
  })
})
