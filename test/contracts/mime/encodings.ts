/** Transfer encodings: RFC 2045 6. */
import { lines, type MessageRow, opened, part } from './row.ts'

/** A message in this transfer encoding. */
function encoded(name: string, encoding: string, body: string, expected: string, defects?: string): MessageRow {
  return {
    name,
    message: lines('Content-Type: image/png', `Content-Transfer-Encoding: ${encoding}`, '', body),
    parts: [part('1', 'image/png', expected, defects === undefined ? {} : { defects })],
  }
}

const CHARACTER = 'base64-character'
const ESCAPE = 'quoted-printable'

export const encodings: readonly MessageRow[] = [
  encoded('base64 has characters that it does not have', 'base64', 'T*W\0F~u\xe9TWFu', 'ManMan', CHARACTER),
  encoded('base64 goes on behind its padding', 'base64', 'TWE=\r\nTWFu\r\n', 'MaMan', 'base64-padding'),
  encoded('the lines of base64 have odd lengths', 'base64', 'T\r\nWFuTW\r\n\r\nF\r\nu\r\n', 'ManMan'),
  encoded('base64 lacks its padding', 'base64', 'TWFuTQ', 'ManM', 'base64-end'),
  encoded('base64 has one character too much', 'base64', 'TWFuT', 'Man', 'base64-end'),
  encoded('base64 has too much padding', 'base64', 'TWE=====', 'Ma'),
  encoded('base64 is empty', 'base64', '', ''),
  encoded('base64 has blanks at the ends of lines', 'base64', 'TWFu \t\r\n TWFu ', 'ManMan'),
  encoded('base64 is in the alphabet of URLs', 'base64', 'TW-F_u', 'Man', CHARACTER),
  encoded('the name of the encoding is in mixed case, with a comment', '  BASE64 (a comment) ', 'TWFu', 'Man'),
  encoded('the name of the encoding is quoted', '"base64"', 'TWFu', 'Man'),
  encoded('the name of the encoding has a semicolon', 'base64;', 'TWFu', 'Man'),
  encoded('the name of the encoding is empty', '', 'a=20', 'a=20'),
  encoded('the encoding is unknown', 'x-none', 'TWFu=20', 'TWFu=20', 'encoding-unknown'),
  encoded('quoted-printable has bad escapes', 'quoted-printable', 'a=ZZ=4=3d==41 =', 'a=ZZ=4==A ', ESCAPE),
  encoded('quoted-printable ends with a soft break', 'quoted-printable', 'a=\r\n', 'a'),
  encoded('quoted-printable ends with an equals sign', 'quoted-printable', 'a=', 'a'),
  encoded(
    'quoted-printable has white space before its line ends',
    'quoted-printable',
    'a \t\r\nb= \t\r\nc=20\r\nd \n',
    'a\r\nbc \r\nd\n',
  ),
  encoded('quoted-printable has 8-bit octets and controls', 'quoted-printable', '\xe9\0=C3=A9\r', '\xe9\0\xc3\xa9\r'),
  encoded(
    'quoted-printable has a line of 3,000 characters',
    'quoted-printable',
    `${'=41'.repeat(1_000)}`,
    'A'.repeat(1_000),
  ),
  encoded(
    'uuencode has text around it',
    'x-uuencode',
    'text\r\nbegin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\ntext\r\n',
    'Cat',
    'uuencode',
  ),
  encoded('uuencode lacks its end', 'uuencode', 'begin 644 a.txt\r\n#0V%T\r\n', 'Cat', 'uuencode'),
  encoded('the body is binary', 'binary', '\0\r\n.\r\n..\r\r\n\xff\n', '\0\r\n.\r\n..\r\r\n\xff\n'),
  {
    name: 'uuencode is in a text, which stays as it is',
    message: lines('', 'begin 644 a.txt', '#0V%T', '`', 'end', ''),
    parts: [part('1', 'text/plain', lines('begin 644 a.txt', '#0V%T', '`', 'end', ''))],
  },
  {
    name: 'Content-Transfer-Encoding is there twice',
    message: lines('Content-Transfer-Encoding: base64', 'Content-Transfer-Encoding: 7bit', '', 'TWFu'),
    parts: [part('1', 'text/plain', 'Man', { defects: 'field-repeated' })],
  },
  {
    name: 'a multipart claims to be in base64, and is not',
    message: lines(
      'Content-Type: multipart/mixed; boundary=x',
      'Content-Transfer-Encoding: base64',
      '',
      '--x',
      '',
      'a',
      '--x--',
      '',
    ),
    parts: [opened('TEXT', 'multipart/mixed', { defects: 'encoded-multipart' }), part('1', 'text/plain', 'a')],
  },
  {
    name: 'a multipart claims to be in quoted-printable, and its parts have encodings of their own',
    message: lines(
      'Content-Type: multipart/mixed; boundary="=_x"',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      '--=_x',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'caf=E9',
      '--=_x',
      'Content-Transfer-Encoding: base64',
      '',
      'TWFu',
      '--=_x--',
      '',
    ),
    parts: [
      opened('TEXT', 'multipart/mixed', { defects: 'encoded-multipart' }),
      part('1', 'text/plain', 'caf\xe9'),
      part('2', 'text/plain', 'Man'),
    ],
  },
  {
    name: 'a part in base64 ends within a group of four characters, at a boundary',
    message: lines(
      'Content-Type: multipart/mixed; boundary=x',
      '',
      '--x',
      'Content-Transfer-Encoding: base64',
      '',
      'TWE',
      '--x',
      'Content-Transfer-Encoding: quoted-printable',
      '',
      'a=',
      '--x--',
      '',
    ),
    parts: [
      opened('TEXT', 'multipart/mixed'),
      part('1', 'text/plain', 'Ma', { defects: 'base64-end' }),
      part('2', 'text/plain', 'a'),
    ],
  },
]
