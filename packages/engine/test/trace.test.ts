/** The trace header's date, which is kept for a second. */
import { expect, test } from 'vitest'
import { receivedField } from '../src/server/trace.ts'
import type { Envelope } from '../src/protocol/envelope.ts'
import type { Session } from '../src/server/session.ts'

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

test('each message has its own second, also where the clock is set back', () => {
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
