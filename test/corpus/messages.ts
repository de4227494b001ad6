/**
 * Awkward messages, generated with the same bytes each time.
 *
 * Messages that DATA cannot carry unchanged (bare CR or LF, NUL, an end without CRLF) are sent by BDAT alone. RFC 3030 3 requires
 * BODY=BINARYMIME for content without proper lines.
 */
import type { BodyType } from '@postern/engine'
import { Random } from '../kit/random.ts'

export interface AwkwardMessage {
  readonly name: string
  readonly bytes: Buffer
  readonly body: BodyType
  /** True if DATA can send it byte for byte. */
  readonly byData: boolean
}

export const MiB: number = 1024 * 1024
/** The server's default, advertised as SIZE. */
export const LIMIT_BYTES: number = 25 * MiB

const HEADER = [
  'From: Ann <ann@sender.example>',
  'To: Bob <bob@postern.example>',
  'Subject: awkward',
  'Date: Fri, 21 Nov 2025 05:42:00 +0000',
  'Message-ID: <awkward@sender.example>',
  '',
].join('\r\n')

/** Messages of moderate size. */
export const AWKWARD: readonly AwkwardMessage[] = [
  text('plain', 'Hello.\r\nThis is all.\r\n'),
  eightBit(),
  binary(),
  binaryOf('end of data inside', 'one\r\n.\r\ntwo\r\n.\r\nRSET\r\nQUIT\r\n..\r\n.\r\n'),
  binaryOf('bare line endings', 'cr\rlf\nlfcr\n\rcrcr\r\rlflf\n\n\n.\n\r.\r\n.\nend'),
  text('leading dots', dots()),
  bare('a dot first of all', '.begins with a dot\r\n..and two\r\n'),
  bare('a dot alone', '.\r\n'),
  bare('only dots', `${'.\r\n'.repeat(50)}${'..\r\n'.repeat(50)}`),
  bare('a line of dots', `${'.'.repeat(998)}\r\n`),
  text('line of 998 octets', `${line(998)}\r\n.${line(997)}\r\n`),
  text('line of 100,000 octets', `${line(100_000)}\r\nafter it\r\n.${line(99_999)}\r\n`),
  text('empty body', ''),
  bare('headers only', HEADER),
  bare('wholly empty', ''),
  bare('one CRLF', '\r\n'),
  bare('only CRLFs', '\r\n'.repeat(1_000)),
  bare('blanks and tabs at line ends', ' \r\n\t\r\nx \r\n x\t\r\n'),
  chunked('end without CRLF', 'the last line is not ended'),
  chunked('end in a CR', 'the last line ends in half\r'),
  chunked('end in a dot', 'a line\r\n.'),
  chunked('one octet', 'x', ''),
]

/** Makes a message of exactly so many octets, in lines of text. Some lines begin with a dot. */
export function messageOf(octets: number): AwkwardMessage {
  const bytes = Buffer.alloc(octets, `${line(75)}\r\n.${line(60)}\r\n..\r\n`)
  bytes.write(`${HEADER}\r\n`)
  // Ends the last line, because it may be cut off.
  bytes.write('---\r\n', octets - 5)
  return { name: `${octets} octets`, bytes, body: '7BIT', byData: true }
}

function text(name: string, content: string): AwkwardMessage {
  return bare(name, `${HEADER}\r\n${content}`)
}

function bare(name: string, whole: string): AwkwardMessage {
  return { name, bytes: Buffer.from(whole, 'latin1'), body: '7BIT', byData: true }
}

function chunked(name: string, content: string, header: string = `${HEADER}\r\n`): AwkwardMessage {
  return { name, bytes: Buffer.from(header + content, 'latin1'), body: '7BIT', byData: false }
}

function binaryOf(name: string, content: string): AwkwardMessage {
  return { ...chunked(name, content), body: 'BINARYMIME' }
}

function eightBit(): AwkwardMessage {
  const octets = Array.from({ length: 128 }, (_, i) => i + 128)
  const lines = [
    'Grüße, 你好, 👋 — in UTF-8',
    Buffer.from('Gr\xfc\xdfe in Latin-1', 'latin1'),
    Buffer.from(octets),
    Buffer.from([0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80]),
    Buffer.from([0x2e, 0xff]),
    Buffer.from([0x85, 0x2e]),
  ]
  const content = lines.flatMap((content) => [Buffer.from(content as Buffer), Buffer.from('\r\n')])
  const bytes = Buffer.concat([Buffer.from(`${HEADER}\r\n`), ...content])
  return { name: '8-bit', bytes, body: '8BITMIME', byData: true }
}

function binary(): AwkwardMessage {
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const bytes = Buffer.concat([
    Buffer.from(`${HEADER}\r\n`),
    Buffer.alloc(64),
    all,
    Buffer.from(all.toReversed()),
    new Random(1).bytes(9_000),
    Buffer.alloc(3),
  ])
  return { name: 'binary with NULs', bytes, body: 'BINARYMIME', byData: false }
}

function dots(): string {
  const lines = ['.', '..', '...', '. ', ' .', '.\t', '.a', 'a.', '..a', '.a.', '', '.', '', '..', '.QUIT', '.']
  return lines.map((content) => `${content}\r\n`).join('')
}

/** Makes a line whose text shows where a byte is missing. */
function line(octets: number): string {
  let content = ''
  while (content.length < octets) content += `${content.length} `
  return content.slice(0, octets).replace(/ $/, '-')
}
