import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { dial, selfSigned, TlsCredentials, type TlsOptions } from '../src/node/index.ts'
import { certificate, echo, hears } from './harness.ts'
import { sleep } from '../../../test/kit/waiting.ts'
import { call, fingerprint, host, open, shown } from './tls-harness.ts'
import { PLACES } from './places.ts'

const renewed = await selfSigned()

describe.each(PLACES)('%s', (_, place) => {
  describe('certificates are replaced while running', () => {
    test('new handshakes and STARTTLS use the new certificate, and open connections go on', async () => {
      const credentials = new TlsCredentials(certificate)
      const listener = await place.listen(echo, { port: 0, host, tls: credentials, implicitTls: true })
      const plain = await open(place, { tls: credentials, implicitTls: false })
      onTestFinished(() => listener.close())
      const { port } = listener.address
      const before = await call(port)
      const later = await dial({ host, port: plain.port, tls: { ca: renewed.cert } })
      credentials.update(renewed)
      await place.settled()
      const after = await call(port, { ca: renewed.cert })
      expect([shown(before), shown(after)]).toEqual([fingerprint(certificate), fingerprint(renewed)])
      const handshake = (await plain.hall.next()).startTls?.()
      await place.settled()
      await Promise.all([later.startTls?.(), handshake])
      expect(shown(later)).toBe(fingerprint(renewed))
      expect(await hears(before, 'still here')).toBe(true)
      expect(await hears(after, 'me too')).toBe(true)
    })

    test('an update during a handshake applies to the next handshake', async () => {
      const credentials = new TlsCredentials(certificate)
      const { port, hall } = await open(place, { tls: credentials })
      const slow = connect(port, host)
      await sleep(50)
      credentials.update(renewed)
      await place.settled()
      slow.destroy()
      await call(port, { ca: renewed.cert })
      await hall.next()
    })

    test.each<[string, Partial<TlsOptions>, RegExp]>([
      ['a key of another certificate', { key: renewed.key }, /key for the listener does not belong/],
      ['no key', { key: '' }, /key for the listener cannot be read/],
      ['no certificate', { cert: 'nonsense' }, /certificate for the listener cannot be read/],
      [
        'a bad one for SNI',
        { sni: { 'a.example': { ...renewed, cert: certificate.cert } } },
        /key for 'a.example' does not/,
      ],
      ['a bad pattern', { sni: { 'a.*.example': renewed } }, /first label/],
      ['a second key of the same type', { others: [renewed] }, /two keys for the listener are of the type ec/],
      ['a bad authority', { ca: 'nonsense' }, /authority in ca cannot be read/],
    ])('%s is refused, and the old one stays', async (_, change, message) => {
      const credentials = new TlsCredentials(certificate)
      const { port, hall } = await open(place, { tls: credentials })
      expect(() => credentials.update({ ...certificate, ...change })).toThrow(message)
      expect(() => credentials.update({ ...certificate, ...change })).toThrow(
        expect.objectContaining({ name: 'CertificateError' }),
      )
      expect(shown(await call(port))).toBe(fingerprint(certificate))
      await hall.next()
    })
  })
})
