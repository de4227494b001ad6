/** Transfer encodings: what is encoded is decoded, wherever the octets are cut; what is malformed is told. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import wabtFactory from 'wabt'
import { Base64Decoder } from '../src/transfer/base64.ts'
import { transferDecoder } from '../src/transfer/index.ts'
import { MODULE } from '../src/transfer/simd-base64.ts'
import { octetsOf } from './kit.ts'

const SEED = Number(process.env['SEED'] ?? 1)

interface Decoded {
  readonly text: string
  readonly defects: readonly string[]
}

/** Decodes pieces. The text is Latin-1. */
function decode(encoding: string, pieces: readonly Uint8Array[]): Decoded {
  const defects: string[] = []
  const decoder = transferDecoder(encoding, (code) => defects.push(code))
  const text = [...pieces.map((piece) => decoder.write(piece)), decoder.end()]
    .map((octets) => Buffer.from(octets).toString('latin1'))
    .join('')
  return { text, defects: [...new Set(defects)] }
}

function cutAt(octets: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...places.map((place) => place % (octets.length + 1)), octets.length].toSorted((a, b) => a - b)
  return sorted.map((place, index) => octets.subarray(sorted[index - 1] ?? 0, place))
}

const octets = fc.uint8Array({ maxLength: 3_000 })
const cuts = fc.array(fc.nat(), { maxLength: 6 })

describe('base64', () => {
  test('gives back what was encoded, in lines of any length, wherever it is cut', () => {
    fc.assert(
      fc.property(octets, cuts, fc.integer({ min: 1, max: 100 }), (bytes, places, width) => {
        const lines = Buffer.from(bytes)
          .toString('base64')
          .replaceAll(new RegExp(`.{${width}}`, 'g'), '$&\r\n')
        expect(decode('base64', cutAt(octetsOf(lines), places))).toEqual({
          text: Buffer.from(bytes).toString('latin1'),
          defects: [],
        })
      }),
      { numRuns: 300, seed: SEED },
    )
  })

  test('reads any octets as a decoder does that takes one at a time', () => {
    const alphabet = fc.constantFrom(
      ...'AQgw+/=',
      '\r\n',
      ' ',
      '-',
      '\n',
      'TWFu',
      '\xff',
      '\x00',
      'abcdefghijklmnopqrstuvwxyz',
    )
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 400 }), cuts, (words, places) => {
        const bytes = octetsOf(words.join(''))
        const alone = Array.from(bytes, (octet) => Uint8Array.of(octet))
        expect(decode('base64', cutAt(bytes, places))).toEqual(decode('base64', alone))
      }),
      { numRuns: 500, seed: SEED },
    )
  })

  test.each([
    ['TWFu', 'Man', []],
    ['TWE=', 'Ma', []],
    ['TQ==', 'M', []],
    ['TQ', 'M', ['base64-end']],
    ['T', '', ['base64-end']],
    ['T===', '', ['base64-end']],
    ['TQ==TWFu', 'MMan', ['base64-padding']],
    ['TW*Fu', 'Man', ['base64-character']],
    ['TQ==\r\n\r\n', 'M', []],
    ['', '', []],
  ])('%j is %j', (text, expected, defects) => {
    expect(decode('base64', [octetsOf(text)])).toEqual({ text: expected, defects })
  })

  test('the compiled module is what its source says', async () => {
    const source = readFileSync(resolve(import.meta.dirname, '../src/transfer/base64.wat'), 'utf8')
    const wabt = await wabtFactory()
    const { buffer } = wabt.parseWat('base64.wat', source, { simd: true }).toBinary({})
    expect(Buffer.from(buffer).toString('base64')).toBe(MODULE)
  })

  test('a decoder needs no more memory than the piece', () => {
    const decoder = new Base64Decoder(() => {})
    expect(decoder.write(octetsOf('TWFu'.repeat(100_000))).buffer.byteLength).toBeLessThan(310_000)
  })
})

describe('quoted-printable', () => {
  /** Encodes as RFC 2045 6.7 says, in one of the ways that it allows. */
  function encode(bytes: Uint8Array, pick: (max: number) => number): string {
    let line = ''
    let text = ''
    for (const [index, octet] of bytes.entries()) {
      const isPlain = octet > 32 && octet < 127 && octet !== 61
      const isBlank = (octet === 32 || octet === 9) && index < bytes.length - 1
      line +=
        (isPlain || isBlank) && pick(4) > 0
          ? String.fromCharCode(octet)
          : `=${octet.toString(16).toUpperCase().padStart(2, '0')}`
      if (line.length > 60 || pick(20) === 0) {
        text += `${line}=${' '.repeat(pick(3))}\r\n`
        line = ''
      }
    }
    return text + line
  }

  test('gives back what was encoded, wherever it is cut', () => {
    fc.assert(
      fc.property(octets, cuts, fc.infiniteStream(fc.nat()), (bytes, places, chance) => {
        const text = encode(bytes, (max) => (chance.next().value as number) % max)
        expect(decode('quoted-printable', cutAt(octetsOf(text), places))).toEqual({
          text: Buffer.from(bytes).toString('latin1'),
          defects: [],
        })
      }),
      { numRuns: 300, seed: SEED },
    )
  })

  test('reads any octets the same, wherever they are cut', () => {
    const word = fc.constantFrom(
      '=',
      '=4',
      '=41',
      '=\r\n',
      '= \t\r\n',
      ' ',
      '\t',
      '\r\n',
      '\r',
      '\n',
      'a',
      'F',
      'g',
      '\xe9',
      '=\r',
      '==',
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 60 }), cuts, (words, places) => {
        const bytes = octetsOf(words.join(''))
        expect(decode('quoted-printable', cutAt(bytes, places))).toEqual(decode('quoted-printable', [bytes]))
      }),
      { numRuns: 2_000, seed: SEED },
    )
  })

  test.each([
    ['a=3D=3d', 'a==', []],
    ['soft=\r\nline', 'softline', []],
    ['soft= \t\r\nline', 'softline', []],
    ['soft=\nline', 'softline', []],
    ['blank \t\r\nend ', 'blank\r\nend', []],
    ['a  b', 'a  b', []],
    ['=', '', []],
    ['=4', '=4', ['quoted-printable']],
    ['=G1', '=G1', ['quoted-printable']],
    ['==41', '=A', ['quoted-printable']],
    ['= x', '= x', ['quoted-printable']],
  ])('%j is %j', (text, expected, defects) => {
    expect(decode('quoted-printable', [octetsOf(text)])).toEqual({ text: expected, defects })
  })
})

describe('uuencode', () => {
  /** As POSIX.1 describes it. */
  function encode(bytes: Uint8Array): string {
    const character = (value: number): string => String.fromCharCode(value === 0 ? 96 : value + 32)
    const lines = ['begin 644 file']
    for (let i = 0; i < bytes.length; i += 45) {
      const row = bytes.subarray(i, i + 45)
      let line = character(row.length)
      for (let j = 0; j < row.length; j += 3) {
        const group = ((row[j] ?? 0) << 16) | ((row[j + 1] ?? 0) << 8) | (row[j + 2] ?? 0)
        for (const shift of [18, 12, 6, 0]) line += character((group >> shift) & 63)
      }
      lines.push(line)
    }
    return [...lines, '`', 'end', ''].join('\r\n')
  }

  test('gives back what was encoded, wherever it is cut', () => {
    fc.assert(
      fc.property(octets, cuts, (bytes, places) => {
        const text = Buffer.from(bytes).toString('latin1')
        expect(decode('x-uuencode', cutAt(octetsOf(encode(bytes)), places))).toEqual({ text, defects: [] })
      }),
      { numRuns: 200, seed: SEED },
    )
  })

  test.each([
    ['begin 644 a\n#0V%T\n`\nend\n', 'Cat', []],
    ['text\nbegin 644 a\n#0V%T\nend\n', 'Cat', ['uuencode']],
    ['begin 644 a\n#0V%T\n', 'Cat', ['uuencode']],
    ['begin 644 a\n#0V%T\n~~~\nend\nmore\n', 'Cat', ['uuencode']],
    ['nothing', '', ['uuencode']],
  ])('%j is %j', (text, expected, defects) => {
    expect(decode('uuencode', [octetsOf(text)])).toEqual({ text: expected, defects })
  })
})
