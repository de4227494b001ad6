/** Replies never depend on how the bytes were cut. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ReplyFault, type ReplyLimits, ReplyReader } from '../../src/protocol/client/reply-reader.ts'
import type { ServerReply } from '../../src/protocol/client/server-reply.ts'
import { octets } from '../protocol.ts'

const LIMITS: ReplyLimits = { maxReplyLineOctets: 60, maxReplyLines: 4, maxReplyOctets: 120 }

/** Reads bytes that arrive in pieces. Ends with the first fault. */
function readAll(
  bytes: Uint8Array,
  sizes: readonly number[],
  limits: ReplyLimits = LIMITS,
): (ServerReply | ReplyFault)[] {
  const reader = new ReplyReader(limits)
  const read: (ServerReply | ReplyFault)[] = []
  let from = 0
  for (const size of [...sizes, bytes.length]) {
    reader.receive(bytes.slice(from, from + size))
    from = Math.min(bytes.length, from + size)
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      read.push(next)
      if ('fault' in next) return read
    }
  }
  return read
}

const TOKENS = [
  '250',
  '-',
  ' ',
  '\r\n',
  '\r',
  '\n',
  '\0',
  '2.1.5',
  '550',
  '421-',
  '354 ',
  'ok',
  'é',
  '\t',
  'x'.repeat(30),
]
const cuts = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 })

test('any cut of any bytes gives the same replies and faults', () => {
  const text = fc.array(fc.constantFrom(...TOKENS), { maxLength: 40 }).map((tokens) => octets(tokens.join('')))
  fc.assert(
    fc.property(text, cuts, (bytes, sizes) => {
      expect(readAll(bytes, sizes)).toEqual(readAll(bytes, []))
    }),
  )
})

test('any cut of any octets behind a reply ends within the bounds', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), cuts, (noise, sizes) => {
      const bytes = new Uint8Array([...octets('250-'), ...noise])
      const read = readAll(bytes, sizes)
      expect(read).toEqual(readAll(bytes, []))
      for (const each of read) {
        if ('fault' in each) continue
        expect(each.lines.length).toBeLessThanOrEqual(LIMITS.maxReplyLines)
        expect(each.text).toMatch(/^[\t\n\x20-\x7e\u{a0}-\u{10ffff}]*$/u)
      }
    }),
  )
})

const reply = fc.record({
  code: fc.integer({ min: 200, max: 599 }),
  lines: fc.array(fc.stringMatching(/^[a-z][ -~]{0,20}$/), { minLength: 1, maxLength: 3 }),
})

test('every reply that the grammar allows is read as it was written', () => {
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 5 }), cuts, (replies, sizes) => {
      const wire = replies.map(({ code, lines }) =>
        lines.map((line, index) => `${code}${index === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join(''),
      )
      const read = readAll(octets(wire.join('')), sizes)
      expect(read.map((each) => 'code' in each && { code: each.code, lines: each.lines })).toEqual(replies)
    }),
  )
})

test.each<[string, Partial<ServerReply>]>([
  ['250\r\n', { code: 250, enhancedCode: '', lines: [''] }],
  ['250 \r\n', { code: 250, lines: [''] }],
  ['250 2.1.5 ok\r\n', { enhancedCode: '2.1.5', lines: ['ok'], text: 'ok' }],
  [
    '550-5.1.1 no\r\n550 5.1.1 such user\r\n',
    { enhancedCode: '5.1.1', lines: ['no', 'such user'], text: 'no\nsuch user' },
  ],
  ['550-5.1.1 no\r\n550 such user\r\n', { enhancedCode: '5.1.1', lines: ['no', 'such user'] }],
  ['250 5.1.1 of another class\r\n', { enhancedCode: '', lines: ['5.1.1 of another class'] }],
  ['250 2.1.5\r\n', { enhancedCode: '2.1.5', lines: [''] }],
  ['250 2.1.5.6 is a version\r\n', { enhancedCode: '' }],
  ['250 gr\u00fc\u00dfe\r\n', { lines: ['gr\u00fc\u00dfe'] }],
  ['250 a\x1b[31mb\x7f\u0085\r\n', { lines: ['a?[31mb??'] }],
])('%j is read', (wire, wanted) => {
  expect(readAll(octets(wire), [])).toMatchObject([wanted])
})

test('text that is not UTF-8 loses its 8-bit octets', () => {
  const wire = Uint8Array.of(...octets('250 a'), 0xe9, 0xff, ...octets('b\r\n'))
  expect(readAll(wire, [])).toMatchObject([{ lines: ['a??b'] }])
})

test.each([
  [`250 ${'x'.repeat(54)}\r\n`, undefined],
  [`250 ${'x'.repeat(55)}\r\n`, 'a reply line is longer than 60 octets'],
  [`250 ${'x'.repeat(57)}`, 'a reply line is longer than 60 octets'],
  ['250-a\r\n'.repeat(3) + '250 a\r\n', undefined],
  ['250-a\r\n'.repeat(4), 'a reply has more than 4 lines'],
  [`250-${'x'.repeat(40)}\r\n`.repeat(3), 'a reply is longer than 120 octets'],
])('the bounds hold: %j', (wire, fault) => {
  const bytes = octets(wire)
  for (const sizes of [[], Array.from(bytes, () => 1)]) {
    const last = readAll(bytes, sizes).at(-1)
    expect(last !== undefined && 'fault' in last ? last.fault : undefined).toBe(fault)
  }
})
