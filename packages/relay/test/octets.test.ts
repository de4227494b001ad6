/** What the relay finds out about the octets of a message, whatever its sender announced. */
import { expect, test } from 'vitest'
import { octetFacts } from '../src/delivery/octets.ts'

test.each([
  ['', false, true],
  ['a\r\n\r\n.b\r\n', false, true],
  ['gr\u00fc\u00dfe\r\n', true, true],
  ['\u00fc\n', true, false],
  [`${'x'.repeat(998)}\r\n`, false, true],
  [`${'x'.repeat(999)}\r\n`, false, false],
  ['a', false, false],
  ['a\n', false, false],
  ['a\r', false, false],
  ['\r', false, false],
  ['a\r\nb\n\r\n', false, false],
  ['a\r\rb\r\n', false, false],
  ['a\rb\r\n', false, false],
  ['a\0\r\n', false, false],
])('%j has octets above 127: %s; has lines only: %s', async (text, has8Bit, hasLines) => {
  const bytes = Buffer.from(text, 'latin1')
  for (let at = 0; at <= Math.min(bytes.length, 20); at++) {
    expect(await octetFacts([bytes.subarray(0, at), bytes.subarray(at)])).toEqual({ has8Bit, hasLines })
  }
})
