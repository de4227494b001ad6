/** The count of Received fields does not depend on the cuts, and its work is bounded. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ReceivedFields } from '../src/protocol/framing/received-fields.ts'
import { octets } from './protocol.ts'

function counted(...pieces: readonly Uint8Array[]): ReceivedFields {
  const fields = new ReceivedFields()
  for (const piece of pieces) if (!fields.isOver) fields.read(piece)
  return fields
}

test('the fields of any header are counted as a plain search counts them, wherever it is cut', () => {
  const line = fc.constantFrom(
    'Received: x',
    'received:',
    'RECEIVED:x',
    'Received',
    ' Received: x',
    'A: b',
    'X-Received: x',
    'Rec',
    '',
    ':',
  )
  const message = fc.array(fc.tuple(line, fc.constantFrom('\r\n', '\r\n', '\n')), { maxLength: 12 })
  fc.assert(
    fc.property(message, fc.array(fc.nat(200), { maxLength: 4 }), (lines, cuts) => {
      const text = lines.map((parts) => parts.join('')).join('')
      const end = lines.findIndex(([name]) => name === '')
      const header = end < 0 ? lines : lines.slice(0, end)
      const expected = header.filter(([name]) => /^received:/i.test(name)).length
      const bytes = octets(text)
      const at = cuts.toSorted((a, b) => a - b)
      const pieces = [...at, bytes.length].map((end, i) => bytes.subarray(at[i - 1] ?? 0, end))
      expect(counted(...pieces).count).toBe(expected)
    }),
  )
})

test('the count ends with the header', () => {
  expect(counted(octets('Received: x\r\n')).isOver).toBe(false)
  expect(counted(octets('Received: x\r\n\r\n')).isOver).toBe(true)
  expect(counted(octets('Received: x\r\n\r\n'), octets('Received: x\r\n')).count).toBe(1)
})

test('the count ends after a megabyte, because a header may be as large as the message', () => {
  const lines = octets('\t\r\n'.repeat(20_000))
  const fields = new ReceivedFields()
  let octetsRead = 0
  while (!fields.isOver) {
    fields.read(lines)
    octetsRead += lines.length
    expect(octetsRead).toBeLessThan(1_200_000)
  }
  expect(octetsRead).toBeGreaterThan(1_000_000)
})
