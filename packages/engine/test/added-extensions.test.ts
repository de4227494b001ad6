/** Extensions that a program adds: what they write into the envelope at a given time, and which options they refuse. */
import { describe, expect, test } from 'vitest'
import type { ProtocolExtension } from '../src/protocol/extensions/extension.ts'
import { deliverBy } from '../src/protocol/extensions/deliver-by.ts'
import { futureRelease } from '../src/protocol/extensions/future-release.ts'
import { mtPriority } from '../src/protocol/extensions/mt-priority.ts'
import { requireTls } from '../src/protocol/extensions/require-tls.ts'
import { ExtensionSet } from '../src/protocol/extensions/set.ts'
import { AUTH_REQUIRED } from '../src/protocol/grammar/replies.ts'
import type { Envelope } from '../src/protocol/grammar/envelope.ts'
import { OptionError, resolveLimits } from '../src/protocol/limits.ts'
import { Gate } from '../src/protocol/server/gate.ts'
import { codes, octets, protocolFor, run } from './protocol.ts'

const NOW = '2026-11-30T12:00:30.250Z'
const NOON = Date.parse(NOW)

/** Sends EHLO and a MAIL with these parameters at {@link NOW}. */
function mailWith(
  extension: ProtocolExtension,
  parameters: string,
): { readonly ehlo: string; readonly code: string | undefined; readonly envelope: Envelope | undefined } {
  const extensions = new ExtensionSet([extension])
  const gate = new Gate(resolveLimits(), extensions, new Set(), AUTH_REQUIRED)
  const protocol = protocolFor({ options: { extensions, gate, now: () => NOON }, policy: { isSecure: true } })
  const ehlo = run([octets('EHLO client.example\r\n')], {}, protocol).replies
  const { replies } = run([octets(`MAIL FROM:<a@b.example> ${parameters}\r\n`)], {}, protocol)
  return { ehlo, code: codes(replies)[0], envelope: protocol.envelope }
}

describe('FUTURERELEASE', () => {
  const oneDay = futureRelease({ maxSeconds: 86_400 })

  test('announces the longest interval, and the last time in whole minutes', () => {
    expect(mailWith(oneDay, '').ehlo).toContain('FUTURERELEASE 86400 2026-12-01T12:00:00Z\r\n')
    const maxDate = new Date('2026-11-30T18:00:59Z')
    const announced = mailWith(futureRelease({ maxSeconds: 86_400, maxDate }), '').ehlo
    expect(announced).toContain('FUTURERELEASE 86400 2026-11-30T18:00:00Z\r\n')
  })

  test.each([
    ['HOLDFOR=1', '2026-11-30T12:00:31.250Z'],
    ['HOLDFOR=86400', '2026-12-01T12:00:30.250Z'],
    ['HOLDUNTIL=2026-11-30T12:00:31Z', '2026-11-30T12:00:31.000Z'],
    ['HOLDUNTIL=2026-11-30T23:30:00+05:30', '2026-11-30T18:00:00.000Z'],
    ['HOLDUNTIL=2026-11-30T23:30:00-01:00', '2026-12-01T00:30:00.000Z'],
    ['HOLDUNTIL=2026-12-01T12:00:30.25Z', '2026-12-01T12:00:30.250Z'],
    ['HOLDUNTIL=2026-11-30T12:00:30.251999Z', '2026-11-30T12:00:30.251Z'],
  ])('%s holds the message until %s', (parameter, until) => {
    const { code, envelope } = mailWith(oneDay, parameter)
    expect(code).toBe('250 2.0.0')
    expect(envelope?.holdUntil).toEqual(new Date(until))
  })

  test.each([
    'HOLDFOR=86401',
    'HOLDUNTIL=2026-12-01T12:00:31Z',
    'HOLDUNTIL=2026-11-30T12:00:30Z',
    'HOLDUNTIL=2026-11-30T12:00:30.25Z',
    'HOLDUNTIL=2026-11-30T12:30:00+01:00',
    'HOLDUNTIL=2026-02-30T12:30:00+01:00',
    'HOLDUNTIL=2026-11-31T00:00:00Z',
  ])('%s is refused at noon', (parameter) => {
    expect(mailWith(oneDay, parameter)).toMatchObject({ code: '501 5.5.4', envelope: undefined })
  })

  test('the last date bounds both parameters', () => {
    const untilSix = futureRelease({ maxSeconds: 86_400, maxDate: new Date('2026-11-30T18:00:00Z') })
    expect(mailWith(untilSix, 'HOLDUNTIL=2026-11-30T18:00:00Z').code).toBe('250 2.0.0')
    expect(mailWith(untilSix, 'HOLDUNTIL=2026-11-30T18:00:01Z').code).toBe('501 5.5.4')
    expect(mailWith(untilSix, 'HOLDFOR=21569').code).toBe('250 2.0.0')
    expect(mailWith(untilSix, 'HOLDFOR=21570').code).toBe('501 5.5.4')
  })
})

describe('DELIVERBY', () => {
  test.each([
    ['BY=120;R', { deadline: new Date('2026-11-30T12:02:30.250Z'), mode: 'return', trace: false }],
    ['BY=-30;nt', { deadline: new Date('2026-11-30T12:00:00.250Z'), mode: 'notify', trace: true }],
    ['BY=+0;N', { deadline: new Date(NOW), mode: 'notify', trace: false }],
    ['BY=999999999;RT', { deadline: new Date('2058-08-08T13:47:09.250Z'), mode: 'return', trace: true }],
  ])('%s is a deadline', (parameter, expected) => {
    expect(mailWith(deliverBy(), parameter).envelope?.deliverBy).toEqual(expected)
  })

  test('announces the minimum if there is one', () => {
    expect(mailWith(deliverBy(), '').ehlo).toContain('DELIVERBY\r\n')
    expect(mailWith(deliverBy({ minSeconds: 60 }), '').ehlo).toContain('DELIVERBY 60\r\n')
    expect(mailWith(deliverBy({ minSeconds: 60 }), 'BY=59;R').code).toBe('555 5.5.4')
    expect(mailWith(deliverBy({ minSeconds: 60 }), 'BY=60;R').code).toBe('250 2.0.0')
  })
})

test('MT-PRIORITY is a number, and a policy is announced', () => {
  expect(mailWith(mtPriority(), 'MT-PRIORITY=-4').envelope?.priority).toBe(-4)
  expect(mailWith(mtPriority(), 'MT-PRIORITY=0').envelope?.priority).toBe(0)
  expect(mailWith(mtPriority(), '').ehlo).toContain('MT-PRIORITY\r\n')
  expect(mailWith(mtPriority({ policy: 'STANAG4406' }), '').ehlo).toContain('MT-PRIORITY STANAG4406\r\n')
  expect(mailWith(mtPriority(), '').envelope?.priority).toBeUndefined()
})

test('REQUIRETLS is true, or missing', () => {
  expect(mailWith(requireTls, 'REQUIRETLS').envelope?.requireTls).toBe(true)
  expect(mailWith(requireTls, '').envelope).not.toHaveProperty('requireTls')
})

test.each([
  ['deliverBy.minSeconds', () => deliverBy({ minSeconds: -1 })],
  ['deliverBy.minSeconds', () => deliverBy({ minSeconds: 1.5 })],
  ['deliverBy.minSeconds', () => deliverBy({ minSeconds: 1e9 })],
  ['futureRelease.maxSeconds', () => futureRelease({ maxSeconds: 0 })],
  ['futureRelease.maxSeconds', () => futureRelease({ maxSeconds: 1e9 })],
  ['futureRelease.maxDate', () => futureRelease({ maxSeconds: 1, maxDate: new Date('soon') })],
  ['mtPriority.policy', () => mtPriority({ policy: '' })],
  ['mtPriority.policy', () => mtPriority({ policy: 'TWO WORDS' })],
  ['mtPriority.policy', () => mtPriority({ policy: 'X\r\n250 Y' })],
] as const)('%s is refused when the extension is made', (field, make) => {
  expect(make).toThrow(OptionError)
  expect(make).toThrow(`${field}: `)
})
