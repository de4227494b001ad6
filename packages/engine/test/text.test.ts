/** Dot-unstuffing and end of data against a plain model, over random bytes and random cuts. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type BareLineEndings, TextReader } from '../src/protocol/text.ts'
import { binary } from './protocol.ts'

/** The model, from RFC 5321 4.1.1.4 and 4.5.2 and WIRE: on strings, with the whole input at hand. */
function model(sent: string, policy: BareLineEndings): { text: string; end: number; bare: boolean } | undefined {
  const found = sent.startsWith('.\r\n') ? 0 : sent.indexOf('\r\n.\r\n')
  if (found < 0) return undefined
  const end = sent.startsWith('.\r\n') ? 3 : found + 5
  const body = sent.slice(0, end - 3)
  const unstuffed = body.replace(/(^|\r\n)\./g, '$1')
  const bareEnding = /\r(?!\n)|(?<!\r)\n/g
  const bare = bareEnding.test(unstuffed) || bareEnding.test(body)
  const text = policy === 'normalise' ? unstuffed.replace(/\r\n|\r|\n/g, '\r\n') : unstuffed
  return { text, end, bare }
}

function read(
  pieces: readonly Uint8Array[],
  policy: BareLineEndings,
): { text: string; end: number; bare: boolean } | undefined {
  const reader = new TextReader(policy)
  let text = ''
  let before = 0
  for (const piece of pieces) {
    for (let position = 0; position < piece.length; position = reader.position) {
      const status = reader.read(piece, position)
      if (status === 'end') return { text, end: before + reader.position, bare: reader.sawBareLineEnding }
      if (status === 'piece') text += binary(reader.piece)
    }
    before += piece.length
  }
  return undefined
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let at = 0
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : (sizes[i % sizes.length] as number)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

// Mostly the bytes that matter, in the company of some that do not.
const token = fc.constantFrom(
  '\r\n',
  '\r',
  '\n',
  '.',
  '..',
  '\r\n.',
  '\r\n.\r\n',
  'a',
  '\0',
  '\t',
  '\xff',
  'a long stretch of text that is no line end ',
)
// Some of it long enough to be searched by words, with what matters at and around the last of them.
const lead = fc.oneof(
  fc.constant(''),
  fc.integer({ min: 480, max: 540 }).map((length) => 'x'.repeat(length)),
)
const sent = fc
  .tuple(lead, fc.array(token, { maxLength: 40 }))
  .map(([before, tokens]) => `${before}${tokens.join('')}\r\n.\r\nNOOP\r\n`)
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 505, max: 600 })), { maxLength: 6 })
const policy = fc.constantFrom<BareLineEndings>('reject', 'preserve', 'normalise')

test('it reads what the model reads, however it is cut', () => {
  fc.assert(
    fc.property(sent, sizes, policy, (text, cuts, bareLineEndings) => {
      const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0))
      const expected = model(text, bareLineEndings)
      const got = read(cut(bytes, cuts), bareLineEndings)
      expect({ end: got?.end, bare: got?.bare }).toEqual({ end: expected?.end, bare: expected?.bare })
      // Under 'reject' nobody gets the text of a message that is refused.
      if (bareLineEndings !== 'reject' || !expected?.bare) expect(got?.text).toBe(expected?.text)
    }),
    { numRuns: 5_000 },
  )
})

test('stuffing then reading is the identity', () => {
  const line = fc.stringMatching(/^[.\x00-\x09\x0e-\xff]{0,12}$/)
  fc.assert(
    fc.property(fc.array(line, { maxLength: 200 }), sizes, (lines, cuts) => {
      const text = lines.map((one) => `${one}\r\n`).join('')
      const stuffed = `${lines.map((one) => `${one.startsWith('.') ? '.' : ''}${one}\r\n`).join('')}.\r\n`
      const bytes = Uint8Array.from(stuffed, (character) => character.charCodeAt(0))
      expect(read(cut(bytes, cuts), 'reject')).toEqual({ text, end: bytes.length, bare: false })
    }),
  )
})

test.each([0, 1, 2, 3])('long inputs are searched by words: at offset %i nothing is missed', (offset) => {
  for (let at = 0; at < 40; at++) {
    const buffer = new Uint8Array(2_048 + offset).fill(120)
    const bytes = buffer.subarray(offset)
    bytes.set([13, 10, 46, 13, 10], 1_000 + at)
    const reader = new TextReader('reject')
    expect(reader.read(bytes, 0)).toBe('piece')
    expect(reader.piece.length).toBe(1_002 + at)
    expect(reader.read(bytes, reader.position)).toBe('end')
    expect(reader.position).toBe(1_005 + at)
    expect(reader.longestLine).toBe(1_002 + at)
  }
})

test('the longest line is measured across inputs, with CRLF and without the stuffed dot', () => {
  const bytes = Uint8Array.from('ab\r\n..cdef\r\ng\r\n.\r\n', (character) => character.charCodeAt(0))
  for (let size = 1; size <= bytes.length; size++) {
    const reader = new TextReader('reject')
    for (const piece of cut(bytes, [size])) {
      for (let position = 0; position < piece.length; position = reader.position) {
        if (reader.read(piece, position) === 'end') break
      }
    }
    expect(reader.longestLine, `cut by ${size}`).toBe(7)
  }
})
