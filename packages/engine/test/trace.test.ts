/** The trace header: its length, and its date. The text of the date is cached for a second. */
import { expect, test } from 'vitest'
import { receivedField } from '../src/server/session/trace.ts'
import type { Envelope } from '../src/protocol/grammar/envelope.ts'
import type { Session } from '../src/server/session/session.ts'

const session = {
  remote: { family: 'ipv4', address: '192.0.2.1', port: 1 },
  hello: { verb: 'EHLO', name: 'client.example' },
  transmissionType: 'ESMTP',
} as Session
const envelope = { forwardPaths: [] } as unknown as Envelope

function dateAt(ms: number): string {
  const field = new TextDecoder().decode(receivedField(session, envelope, 'mx.example.com', 'ID', new Date(ms)))
  return field.slice(field.lastIndexOf(';') + 1).trim()
}

test('each trace header has the second of its message, also when the clock is set back', () => {
  const at = Date.parse('2026-11-21T05:42:07.999Z')
  const dates = [at, at + 1, at + 1_000, at, at + 86_400_000, at - 60_000, -1, 0].map(dateAt)
  expect(dates).toEqual([
    'Sat, 21 Nov 2026 05:42:07 +0000',
    'Sat, 21 Nov 2026 05:42:08 +0000',
    'Sat, 21 Nov 2026 05:42:08 +0000',
    'Sat, 21 Nov 2026 05:42:07 +0000',
    'Sun, 22 Nov 2026 05:42:07 +0000',
    'Sat, 21 Nov 2026 05:41:07 +0000',
    'Wed, 31 Dec 1969 23:59:59 +0000',
    'Thu, 01 Jan 1970 00:00:00 +0000',
  ])
})

test('the field has at most 998 octets, however long the names and the path are', () => {
  const long = (length: number): string => 'x'.repeat(length)
  const secure = {
    ...session,
    hello: { verb: 'EHLO', name: long(500) },
    tls: { protocol: long(255), cipher: long(255) },
    remote: { family: 'ipv6', address: '2001:db8:1111:2222:3333:4444:5555:6666', port: 1 },
  } as Session
  const hostname = Array.from({ length: 4 }, () => long(62)).join('.')
  const size = (from: Session, address: string): number => {
    const to = { forwardPaths: [{ address }] } as unknown as Envelope
    const text = new TextDecoder().decode(receivedField(from, to, hostname, long(26), new Date(0)))
    expect(text.replace(/\r\n /g, ' ')).toMatch(/^Received: from x[^\r\n]*; Thu, 01 Jan 1970 00:00:00 \+0000\r\n$/)
    return Buffer.byteLength(text)
  }
  const named = { ...session, hello: { verb: 'EHLO', name: 'x.example' } } as Session
  const without = size(named, long(2_000))
  for (let length = 1; length < 1_100; length += 7) {
    expect(size(secure, long(length))).toBeLessThanOrEqual(998)
    expect(size(named, 'é'.repeat(length))).toBeLessThanOrEqual(998)
    // The field names the recipient if it fits.
    const whole = size(named, long(length))
    expect(whole === without).toBe(whole < without + length)
    expect(whole).toBeLessThanOrEqual(998)
  }
})

test('a client without a hello name is written as unknown', () => {
  const nameless = { ...session, hello: { verb: 'EHLO', name: '' } } as Session
  const text = new TextDecoder().decode(receivedField(nameless, envelope, 'mx.example.com', 'ID', new Date(0)))
  expect(text).toMatch(/^Received: from unknown \(\[192\.0\.2\.1\]\)/)
})

test.each([
  ['mail.example.net', '(mail.example.net [192.0.2.1])'],
  ['unknown', '(unknown [192.0.2.1])'],
  ['a) by (\r\nX-Injected: yes', '(a??by????X-Injected:?yes [192.0.2.1])'],
])('the name of a client that DNS was asked about is before its address: %j', (name, expected) => {
  const named = { ...session, reverseDns: { result: 'pass', name } } as Session
  const text = new TextDecoder().decode(receivedField(named, envelope, 'mx.example.com', 'ID', new Date(0)))
  expect(text.split('\r\n')[0]).toMatch(/^Received: from client\.example \(/)
  expect(/\([^)]*\)/.exec(text)?.[0]).toBe(expected)
})
