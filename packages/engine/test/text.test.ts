/** Dot-unstuffing and end of data. Compares each search method with a simple model, over random bytes and random cuts. */
import fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { expect, test, vi } from 'vitest'
import wabtFactory from 'wabt'
import { type SimdWalk, simdWalk } from '../src/protocol/framing/simd.ts'
import { type BareLineEndings, TextReader } from '../src/protocol/framing/text.ts'
import { binary } from './protocol.ts'

interface Read {
  readonly text: string
  /** The number of octets up to and including the end of data. */
  readonly end: number
  readonly bare: boolean
  readonly longest: number
}

/** The model, written from RFC 5321 4.1.1.4 and 4.5.2 and WIRE. It works on strings and has the whole input. */
function model(sent: string, policy: BareLineEndings): Read | undefined {
  const found = sent.startsWith('.\r\n') ? 0 : sent.indexOf('\r\n.\r\n')
  if (found < 0) return undefined
  const end = sent.startsWith('.\r\n') ? 3 : found + 5
  const body = sent.slice(0, end - 3)
  const unstuffed = body.replace(/(^|\r\n)\./g, '$1')
  const bareEnding = /\r(?!\n)|(?<!\r)\n/g
  const bare = bareEnding.test(unstuffed) || bareEnding.test(body)
  const text = policy === 'normalise' ? unstuffed.replace(/\r\n|\r|\n/g, '\r\n') : unstuffed
  const lines = unstuffed.split('\r\n')
  return { text, end, bare, longest: Math.max(0, ...lines.slice(0, -1).map((line) => line.length + 2)) }
}

function read(pieces: readonly Uint8Array[], policy: BareLineEndings): Read | undefined {
  const reader = new TextReader(policy)
  let text = ''
  let before = 0
  for (const piece of pieces) {
    for (let position = 0; position < piece.length; position = reader.position) {
      const status = reader.read(piece, position)
      if (status === 'end') {
        return { text, end: before + reader.position, bare: reader.sawBareLineEnding, longest: reader.longestLine }
      }
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

// Mostly bytes that the reader searches for, and some others.
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
  'a long stretch of text without a line end ',
)
// Some inputs are long enough for the search by words or by vectors, with special bytes at and around the last word or vector.
const lead = fc.oneof(
  fc.constant(''),
  fc.integer({ min: 480, max: 540 }).map((length) => 'x'.repeat(length)),
  fc.integer({ min: 2_000, max: 2_100 }).map((length) => 'x'.repeat(length)),
  fc
    .tuple(fc.integer({ min: 0, max: 100 }), fc.integer({ min: 2_000, max: 7_000 }))
    .map(([length, octets]) => `${'y'.repeat(length)}\r\n`.repeat(octets / (length + 2))),
)
const sent = fc
  .tuple(lead, fc.array(token, { maxLength: 40 }))
  .map(([before, tokens]) => `${before}${tokens.join('')}\r\n.\r\nNOOP\r\n`)
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 505, max: 5_000 })), {
  maxLength: 6,
})
const policy = fc.constantFrom<BareLineEndings>('reject', 'preserve', 'normalise')

test('the reader gives what the model gives, however the input is cut', () => {
  fc.assert(
    fc.property(sent, sizes, policy, (text, cuts, bareLineEndings) => {
      const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0))
      const expected = model(text, bareLineEndings)
      const got = read(cut(bytes, cuts), bareLineEndings)
      expect({ end: got?.end, bare: got?.bare }).toEqual({ end: expected?.end, bare: expected?.bare })
      if (expected?.bare === false) expect(got?.longest).toBe(expected.longest)
      // Under 'reject' the caller does not get the text of a refused message.
      if (bareLineEndings !== 'reject' || !expected?.bare) expect(got?.text).toBe(expected?.text)
    }),
    { numRuns: 5_000 },
  )
})

test('the reader gives the original text after dot-stuffing', () => {
  const line = fc.stringMatching(/^[.\x00-\x09\x0e-\xff]{0,12}$/)
  fc.assert(
    fc.property(fc.array(line, { maxLength: 200 }), sizes, (lines, cuts) => {
      const text = lines.map((one) => `${one}\r\n`).join('')
      const stuffed = `${lines.map((one) => `${one.startsWith('.') ? '.' : ''}${one}\r\n`).join('')}.\r\n`
      const bytes = Uint8Array.from(stuffed, (character) => character.charCodeAt(0))
      expect(read(cut(bytes, cuts), 'reject')).toMatchObject({ text, end: bytes.length, bare: false })
    }),
  )
})

test.each([0, 1, 2, 3])('the search by words finds each special byte of a long input at offset %i', (offset) => {
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

test('the WebAssembly bytes match their source, and this runtime runs them', async () => {
  const wabt = await wabtFactory()
  const source = wabt.parseWat(
    'simd.wat',
    readFileSync(new URL('../src/protocol/framing/simd.wat', import.meta.url), 'utf8'),
    {
      simd: true,
    },
  )
  const compiled = Buffer.from(source.toBinary({}).buffer).toString('base64')
  const holder = readFileSync(new URL('../src/protocol/framing/simd.ts', import.meta.url), 'utf8')
  expect(holder).toContain(`'${compiled}'`)
  expect(simdWalk()).not.toBeNull()
})

test('an input longer than one vector search takes is read whole, from any offset', () => {
  const lines = 'z'.repeat(998) + '\r\n'
  for (const offset of [0, 1, 15, 999, 4_097]) {
    const bytes = Uint8Array.from(`${lines.repeat(200)}..${'z'.repeat(1_200)}\r\n.\r\n`, (character) =>
      character.charCodeAt(0),
    )
    const got = read([bytes.subarray(0, offset), bytes.subarray(offset)], 'reject')
    expect(got).toMatchObject({ end: bytes.length, bare: false, longest: 1_203 })
    expect(got?.text.length).toBe(bytes.length - 4)
  }
})

test('the vector search skips a line whose length does not fit in 32 bits', () => {
  const bytes = Uint8Array.from(`${'x'.repeat(2_048)}.\r\n12345`, (character) => character.charCodeAt(0))
  const simd = simdWalk()
  // With so many octets a 32-bit counter wraps, and the dot seems to begin a line.
  const lineStart = -(2 ** 32) + 2_048
  expect(simd?.walk(bytes, 0, lineStart)).toBe(0)
  expect(simd).toMatchObject({ lineStart, longest: 0 })
})

test.each([1_028, 2_100, 4_000])(
  'the reader does not copy the same octets again and again if a dot comes every %i octets',
  (length) => {
    const text = `..${'z'.repeat(length - 4)}\r\n`
    const bytes = Uint8Array.from(text.repeat(524_288 / length), (character) => character.charCodeAt(0))
    const walk = vi.spyOn(simdWalk() as SimdWalk, 'walk')
    try {
      expect(read([bytes, Uint8Array.from([46, 13, 10])], 'reject')).toMatchObject({ bare: false, longest: length - 1 })
      expect(walk.mock.calls.length).toBeLessThanOrEqual(2)
    } finally {
      walk.mockRestore()
    }
  },
)

test('the longest line is measured across inputs, including CRLF but not the stuffed dot', () => {
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
