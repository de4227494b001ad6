/** What the client stuffs, the server's reader unstuffs. */
import fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { contentOf } from '../../src/protocol/client/content.ts'
import { TextWriter } from '../../src/protocol/client/text-writer.ts'
import { simdWalk } from '../../src/protocol/framing/simd.ts'
import { TextReader } from '../../src/protocol/framing/text.ts'
import { binary, octets } from '../protocol.ts'

/** Writes a text that is given in pieces of these sizes. */
function written(text: string, sizes: readonly number[], isStuffing: boolean): string {
  const bytes = octets(text)
  const writer = new TextWriter(isStuffing)
  let wire = ''
  let from = 0
  for (const size of [...sizes, bytes.length]) {
    wire += binary(writer.write(bytes.subarray(from, from + size)))
    from = Math.min(bytes.length, from + size)
  }
  return wire + binary(writer.end())
}

/** Reads what DATA brings, up to the final dot. */
function unstuffed(wire: string): string {
  const bytes = Uint8Array.from(wire, (unit) => unit.charCodeAt(0))
  const reader = new TextReader('preserve')
  let text = ''
  let status = reader.read(bytes, 0)
  for (; status === 'piece'; status = reader.read(bytes, reader.position)) text += binary(reader.piece)
  expect(status).toBe('end')
  expect(reader.position).toBe(bytes.length)
  expect(reader.sawBareLineEnding).toBe(false)
  return text
}

function withCrlf(text: string): string {
  const lines = text.replace(/\r\n|\r|\n/g, '\r\n')
  return lines === '' || lines.endsWith('\r\n') ? lines : `${lines}\r\n`
}

const TOKENS = [
  '.',
  '..',
  'a',
  '\r',
  '\n',
  '\r\n',
  '\r\n.\r\n',
  '\n.\n',
  'x'.repeat(70),
  `${'y'.repeat(74)}\r\n`.repeat(5),
]
const text = fc.array(fc.constantFrom(...TOKENS), { maxLength: 40 }).map((tokens) => tokens.join(''))
const cuts = fc.array(fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 200, max: 900 })), { maxLength: 12 })

test('the server reads the same text, with CRLF, however it was cut', () => {
  fc.assert(
    fc.property(text, cuts, (given, sizes) => {
      expect(unstuffed(`${written(given, sizes, true)}.\r\n`)).toBe(withCrlf(given))
      expect(written(given, sizes, false)).toBe(withCrlf(given))
    }),
    { numRuns: 300 },
  )
})

test('text whose lines are in order is not copied', () => {
  const bytes = octets(`${'a'.repeat(70)}\r\n`.repeat(100))
  expect(new TextWriter(true).write(bytes)).toBe(bytes)
})

test.each(['x\n', '.\r\n'])('a text of %j again and again is not copied for each line', (line) => {
  const simd = simdWalk()
  if (simd === null) throw new Error('this runtime compiles no WebAssembly')
  const walk = vi.spyOn(simd, 'walk')
  try {
    new TextWriter(true).write(octets(line.repeat(50_000)))
    // Each walk copies up to 65,536 octets.
    expect(walk.mock.calls.length).toBeLessThan(10)
  } finally {
    walk.mockRestore()
  }
})

test.each([
  ['ascii\r\n', { octets: 7, has8Bit: false, hasUtf8Header: false }],
  ['a: x\r\n\r\ngr\u00fc\u00dfe\n', { octets: 17, has8Bit: true, hasUtf8Header: false }],
  ['a: gr\u00fc\u00dfe\r\n\r\nx', { octets: 17, has8Bit: true, hasUtf8Header: true }],
  ['\u00fc without a header', { octets: 21, has8Bit: true, hasUtf8Header: true }],
])('what %j needs is found', (given, facts) => {
  // At each place in a word.
  for (let offset = 0; offset < 4; offset++) {
    const bytes = octets(' '.repeat(offset) + given).subarray(offset)
    expect(contentOf(bytes, false).facts).toEqual(facts)
  }
})

test.each([
  ['', true],
  ['a\r\n\r\n.b\r\n', true],
  [`${'x'.repeat(998)}\r\n`, true],
  [`${'x'.repeat(999)}\r\n`, false],
  ['a', false],
  ['a\n', false],
  ['a\r', false],
  ['a\r\nb\n\r\n', false],
  ['a\r\rb\r\n', false],
  ['a\rb\r\n', false],
  ['a\0\r\n', false],
])('binary content %j could be text: %s', (given, hasLines) => {
  expect(contentOf(octets(given), true).facts.hasLines).toBe(hasLines)
})

test('a header that is 8-bit and not UTF-8 does not ask for SMTPUTF8', () => {
  const bytes = Uint8Array.of(...octets('a: '), 0xe9, ...octets('\r\n\r\n'))
  expect(contentOf(bytes, false).facts).toMatchObject({ has8Bit: true, hasUtf8Header: false })
})
