/** Framing never depends on how bytes were cut: each vector runs whole, byte by byte, and at every split point. */
import { describe, expect, test } from 'vitest'
import { binary, codes, octets, protocolFor, run } from './protocol.ts'
import type { BareLineEndings } from '../src/protocol/framing/text.ts'

interface Vector {
  readonly name: string
  readonly sent: string
  /** Codes of the replies, in order. */
  readonly codes: readonly string[]
  readonly messages?: readonly string[]
  readonly bareLineEndings?: BareLineEndings
}

const OPEN = 'EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n'
const OPENED = ['250', '250 2.0.0', '250 2.0.0']
const OK = '250 2.0.0'

function text(name: string, sent: string, message: string, bareLineEndings: BareLineEndings = 'reject'): Vector {
  return {
    name,
    sent: `${OPEN}DATA\r\n${sent}NOOP\r\n`,
    codes: [...OPENED, '354', OK, OK],
    messages: [message],
    bareLineEndings,
  }
}

/** A bare CR or LF: the message is refused, or kept as one message. No policy makes two messages of it. */
function bare(name: string, sent: string, normalised: string): Vector[] {
  const end = '\r\n.\r\n'
  const preserved = sent.replace(/(^|\r\n)\./g, '$1')
  return [
    {
      name: `${name}, rejected`,
      sent: `${OPEN}DATA\r\n${sent}${end}NOOP\r\n`,
      codes: [...OPENED, '354', '550 5.6.0', OK],
    },
    text(`${name}, preserved`, sent + end, `${preserved}\r\n`, 'preserve'),
    text(`${name}, normalised`, sent + end, `${normalised}\r\n`, 'normalise'),
  ]
}

const VECTORS: readonly Vector[] = [
  { name: 'a group of commands', sent: 'NOOP\r\nNOOP x\r\nQUIT\r\n', codes: [OK, OK, OK] },
  { name: 'a command in lower case with blanks behind it', sent: 'noop  \r\nrset \r\n', codes: [OK, OK] },
  { name: 'an empty line', sent: '\r\nNOOP\r\n', codes: ['500 5.5.1', OK] },
  { name: 'a line with a bare LF', sent: 'QUIT\nNOOP\r\nNOOP\r\n', codes: ['500 5.5.2', OK] },
  { name: 'a line with many bare LFs', sent: '\nQUIT\n\nNOOP\n\r\nNOOP\r\n', codes: ['500 5.5.2', OK] },
  {
    name: 'a line with CR and LF in other orders than CRLF',
    sent: 'QUIT\n\rNOOP\n\rNOOP\r\nNOOP\r\n',
    codes: ['500 5.5.2', OK],
  },
  {
    name: 'a bare LF in a line that is too long',
    sent: `NOOP ${'x'.repeat(4_000)}\nQUIT\r\nNOOP\r\n`,
    codes: ['500 5.5.2', OK],
  },
  {
    name: 'a line that is too long behind a bare LF',
    sent: `QUIT\n${'x'.repeat(4_000)}\r\nNOOP\r\n`,
    codes: ['500 5.5.2', OK],
  },
  { name: 'a CR inside a line', sent: 'NOOP\rQUIT\r\nNOOP\r\n', codes: ['500 5.5.2', OK] },
  { name: 'a line with CR CR LF', sent: 'NOOP\r\r\nNOOP\r\n', codes: ['500 5.5.2', OK] },
  { name: 'a line that is not UTF-8', sent: 'NOOP \xff\r\nNOOP\r\n', codes: ['501 5.5.2', OK] },
  { name: 'a line with a NUL', sent: 'NOOP \0\r\nMAIL\0 FROM:<>\r\nNOOP\r\n', codes: ['501 5.5.2', '501 5.5.2', OK] },
  { name: 'a line that is too long', sent: `NOOP ${'x'.repeat(4_000)}\r\nNOOP\r\n`, codes: ['500 5.5.2', OK] },
  {
    name: 'a line at the limit',
    sent: `NOOP ${'x'.repeat(505)}\r\nNOOP ${'x'.repeat(506)}\r\n`,
    codes: [OK, '500 5.5.2'],
  },
  {
    name: 'a long RCPT, which DSN allows, and a NOOP of the same length',
    sent: `EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<${'x'.repeat(700)}@d.example>\r\nNOOP ${'x'.repeat(700)}\r\n`,
    codes: ['250', OK, OK, '500 5.5.2'],
  },
  { name: 'an HTTP request', sent: 'GET / HTTP/1.1\r\nNOOP\r\n', codes: ['421 4.7.0'] },
  {
    name: 'an HTTP request with a long line',
    sent: `POST /${'x'.repeat(5_000)} HTTP/1.1\r\nNOOP\r\n`,
    codes: ['421 4.7.0'],
  },
  { name: 'an HTTP request with an odd method and LF', sent: 'BREW /pot HTTP/1.0\nNOOP\r\n', codes: ['421 4.7.0'] },
  { name: 'a ClientHello', sent: '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\nNOOP\r\n', codes: ['421 4.7.0'] },
  text('a message', 'Subject: x\r\n\r\nbody\r\n.\r\n', 'Subject: x\r\n\r\nbody\r\n'),
  text('an empty message', '.\r\n', ''),
  text('a message of one empty line', '\r\n.\r\n', '\r\n'),
  text('a message with dots', '..\r\n...\r\n.x\r\nx.\r\n . \r\n.\r\n', '.\r\n..\r\nx\r\nx.\r\n . \r\n'),
  text('a message that starts with a dot and text', '.x\r\n.\r\n', 'x\r\n'),
  text('a message with NUL, TAB and 8-bit octets', '\0\t\xe9\r\n.\r\n', '\0\t\xe9\r\n'),
  text('a message with a long line', `${'x'.repeat(3_000)}\r\n.\r\n`, `${'x'.repeat(3_000)}\r\n`),
  ...bare('LF . LF', 'a\n.\nb', 'a\r\n.\r\nb'),
  ...bare('LF . CRLF', 'a\n.\r\nb', 'a\r\n.\r\nb'),
  ...bare('CRLF . LF', 'a\r\n.\nb', 'a\r\n\r\nb'),
  ...bare('CR . CR', 'a\r.\rb', 'a\r\n.\r\nb'),
  ...bare('CRLF . CR', 'a\r\n.\rb', 'a\r\n\r\nb'),
  ...bare('CR . CRLF', 'a\r.\r\nb', 'a\r\n.\r\nb'),
  ...bare('LF CR . LF CR', 'a\n\r.\n\rb', 'a\r\n\r\n.\r\n\r\nb'),
  ...bare('CR CR LF . CR CR LF', 'a\r\r\n.\r\r\nb', 'a\r\n\r\n\r\n\r\nb'),
  ...bare('LF LF', 'a\n\nb', 'a\r\n\r\nb'),
  ...bare('CR at the end', 'a\r', 'a\r\n'),
  text('a message with NUL behind CRLF', 'a\r\n\0.\r\nb\r\n.\r\n', 'a\r\n\0.\r\nb\r\n'),
  {
    name: 'BDAT in two chunks, the last empty',
    sent: `${OPEN}BDAT 7\r\na\r\n.\r\nbBDAT 0 LAST\r\nNOOP\r\n`,
    codes: [...OPENED, OK, OK, OK],
    messages: ['a\r\n.\r\nb'],
  },
  {
    name: 'BDAT with bare LF, NUL and a command inside',
    sent: `${OPEN}BDAT 12 LAST\r\n\0\nQUIT\r\n.\r\n\r\n`.replace('.\r\n\r\n', '.\r\n\n') + 'NOOP\r\n',
    codes: [...OPENED, OK, OK],
    messages: ['\0\nQUIT\r\n.\r\n\n'],
  },
  ...['1.5', '+1', '-1', '0x5', '1e2', '', 'LAST', '1,5', '\u0661', '5LAST'].map((size): Vector => ({
    name: `BDAT ${size}, whose size is malformed`,
    sent: `${OPEN}BDAT ${size}\r\nRSET\r\nNOOP\r\n`,
    codes: [...OPENED, '501 5.5.4', OK, OK],
  })),
  { name: 'BDAT out of order', sent: 'BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n', codes: ['503 5.5.1', OK] },
  {
    name: 'DATA between two chunks',
    sent: `${OPEN}BDAT 1\r\naDATA\r\nMAIL FROM:<>\r\nBDAT 1 LAST\r\nb`,
    codes: [...OPENED, OK, '503 5.5.1', '503 5.5.1', OK],
    messages: ['ab'],
  },
  {
    name: 'RSET between chunks',
    sent: `${OPEN}BDAT 1\r\naRSET\r\nBDAT 1 LAST\r\nb`,
    codes: [...OPENED, OK, OK, '503 5.5.1'],
    messages: ['a'],
  },
  {
    name: 'DATA that is pipelined behind refused recipients',
    sent: 'EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<>\r\nDATA\r\nRSET\r\n',
    codes: ['250', OK, '501 5.1.3', '554 5.5.1', OK],
  },
  {
    name: 'DATA after BODY=BINARYMIME',
    sent: 'EHLO c\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<a@b>\r\nDATA\r\nBDAT 1 LAST\r\n\0',
    codes: ['250', OK, OK, '503 5.5.1', OK],
    messages: ['\0'],
  },
]

function bytesOf(vector: Vector): Uint8Array {
  return Uint8Array.from(vector.sent, (character) => character.charCodeAt(0))
}

function check(vector: Vector, pieces: readonly Uint8Array[]): void {
  const { bareLineEndings = 'reject' } = vector
  const result = run(pieces, { options: { bareLineEndings } })
  expect(codes(result.replies)).toEqual(vector.codes)
  if (vector.messages !== undefined) expect(result.messages).toEqual(vector.messages)
}

describe.each(VECTORS)('$name', (vector) => {
  const bytes = bytesOf(vector)

  test('gets the same replies when it is sent whole', () => check(vector, [bytes]))

  test('gets the same replies when it is sent byte by byte', () =>
    check(
      vector,
      Array.from(bytes, (octet) => Uint8Array.of(octet)),
    ))

  test('gets the same replies when it is split in two at any point', () => {
    for (let at = 1; at < bytes.length; at++) check(vector, [bytes.subarray(0, at), bytes.subarray(at)])
  })

  test('gets the same replies when it lies at an odd offset in a larger buffer', () => {
    for (let offset = 1; offset < 4; offset++) {
      const buffer = new Uint8Array(bytes.length + 8)
      buffer.set(bytes, offset)
      check(vector, [buffer.subarray(offset, offset + bytes.length)])
    }
  })
})

test('message bytes are views of the received bytes, not copies', () => {
  const message = 'text\r\n'.repeat(1_000)
  const protocol = protocolFor()
  run([octets(OPEN)], {}, protocol)
  const input = octets(`DATA\r\n${message}.\r\n`)
  protocol.receive(input)
  expect(protocol.next()).toEqual({ type: 'message' })
  protocol.begin()
  const event = protocol.next()
  expect(event.type).toBe('chunk')
  if (event.type !== 'chunk') return
  expect(event.bytes.buffer).toBe(input.buffer)
  expect(binary(event.bytes)).toBe(message)
  expect(protocol.next()).toEqual({ type: 'message-end' })
})
