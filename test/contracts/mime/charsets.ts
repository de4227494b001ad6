/** Charsets of text: RFC 2045 5.1, and the names that programs write. */
import { lines, type MessageRow, part, utf8 } from './row.ts'

/** A text in this charset. An empty charset is not named at all. */
function text(charset: string, octets: string, expected: string, defects?: string): MessageRow {
  const type = charset === '' ? [] : [`Content-Type: text/plain; charset="${charset}"`]
  return {
    name: `the charset is ${charset === '' ? 'not named' : charset}: ${shownOctets(octets)}`,
    message: lines(...type, '', octets),
    parts: [part('1', 'text/plain', octets, { text: expected, ...(defects === undefined ? {} : { defects }) })],
  }
}

function shownOctets(octets: string): string {
  return Array.from(octets, (octet) => octet.charCodeAt(0).toString(16).padStart(2, '0')).join(' ')
}

const GUESSED = 'charset-unknown'
const DAMAGED = 'charset-invalid'

export const charsets: readonly MessageRow[] = [
  text('', 'plain', 'plain'),
  text('', utf8('naïve €'), 'naïve €', GUESSED),
  text('', 'na\xefve \x80', 'naïve €', GUESSED),
  text('', `${utf8('\ufeff')}a`, 'a', GUESSED),
  text('utf-8', utf8('\ufeffnaïve'), 'naïve'),
  text('utf-8', 'na\xefve', 'na\ufffdve', DAMAGED),
  text('UTF8', utf8('😀'), '😀'),
  text('us-ascii', 'na\xefve', 'naïve'),
  text('iso-8859-1', 'na\xefve', 'naïve'),
  text('latin1', '\x93a\x94', '“a”'),
  text('iso-8859-2', '\xb1\xe6\xea', 'ąćę'),
  text('iso-8859-5', '\xbf\xe0', 'Пр'),
  text('iso-8859-7', '\xe1\xe2', 'αβ'),
  text('iso-8859-8-i', '\xf9\xec', 'של'),
  text('iso-8859-9', '\xfd\xfe', 'ış'),
  text('iso-8859-15', '\xa4', '€'),
  text('iso-8859-16', '\xaa', 'Ș'),
  text('windows-1250', '\x9c\xb9', 'śą'),
  text('windows-1251', '\xcf\xf0\xe8\xe2\xe5\xf2', 'Привет'),
  text('cp1251', '\xcf', 'П'),
  text('windows-1252', '\x80\x8e', '€Ž'),
  text('windows-1253', '\xe1', 'α'),
  text('windows-1254', '\xf0', 'ğ'),
  text('windows-1255', '\xe0', 'א'),
  text('windows-1256', '\xc7', 'ا'),
  text('windows-1257', '\xe0', 'ą'),
  text('windows-1258', '\xfe', '₫'),
  text('windows-874', '\xa1', 'ก'),
  text('tis-620', '\xa1', 'ก'),
  text('koi8-r', '\xf0\xd2\xc9\xd7\xc5\xd4', 'Привет'),
  text('koi8-u', '\xa4', 'є'),
  text('ibm866', '\x8f\xe0', 'Пр'),
  text('macintosh', '\x8e', 'é'),
  text('gb2312', '\xc4\xe3\xba\xc3', '你好'),
  text('gbk', '\xc4\xe3', '你'),
  text('gb18030', '\x95\x32\x82\x36', '𠀀'),
  text('big5', '\xa7\x41\xa6\x6e', '你好'),
  text('shift_jis', '\x82\xa0\xb1', 'あｱ'),
  text('cp932', '\x87\x40', '①'),
  text('euc-jp', '\xa4\xa2', 'あ'),
  text('iso-2022-jp', '\x1b$B$"$$\x1b(Ba', 'あいa'),
  text('euc-kr', '\xb0\xa1', '가'),
  text('ks_c_5601-1987', '\xb0\xa1', '가'),
  text('cp949', '\x81\x41', '갂'),
  text('utf-16', '\xff\xfea\0\xac\x20', 'a€'),
  text('utf-16', '\xfe\xff\0a\x20\xac', 'a€'),
  text('utf-16', 'a\0\xac\x20', 'a€'),
  text('utf-16le', '\xac\x20', '€'),
  text('utf-16be', '\x20\xac', '€'),
  text('utf-16be', '\xfe\xff\x20\xac', '€'),
  text('utf-16le', 'a\0b', 'a\ufffd', DAMAGED),
  text('utf-7', '+AOk-', '+AOk-', GUESSED),
  text('iso-2022-kr', '\x1b$)Ca', '\x1b$)Ca', GUESSED),
  text('hz-gb-2312', '~{<:Ky~}', '~{<:Ky~}', GUESSED),
  text('cp437', '\x82', '‚', GUESSED),
  text('x-none', utf8('é'), 'é', GUESSED),
  text('*'.repeat(100), 'a\xe9', 'aé', GUESSED),
]
